//! Edge: who answers the operators' questions: the books, or a fixed answer.

use super::metrics::Figure;
use super::views::{AwayView, DocumentRow, LiveView, MeterView, MetersPage};
use std::future::Future;
use std::pin::Pin;

/// An answer that is being made.
pub type Answering<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What the page asks. Nothing it asks changes anything.
pub trait OpsSource: Send + Sync {
    /// Everything that moves. Where the books cannot be read, its `fault` says why.
    fn live(&self) -> Answering<'_, LiveView>;
    /// A page of running meters, from 1; the search is any part of a name, id, owner or payer.
    fn meters(&self, page: usize, search: &str) -> Answering<'_, MetersPage>;
    /// Documents, newest first.
    fn documents(&self) -> Answering<'_, Vec<DocumentRow>>;
    /// A document in a format (`html`, `json`, `csv`): its media type and its bytes.
    fn document(&self, number: &str, format: &str) -> Answering<'_, Option<(String, Vec<u8>)>>;
    /// What becomes of raising calls while the books are away; asks nothing of them.
    fn store_away(&self) -> AwayView {
        AwayView::default()
    }
    /// Figures of the node itself, beside those of the books, each with its explanation.
    fn figures(&self) -> Vec<Figure> {
        Vec::new()
    }
}

/// Answers that never change: for trying the page out.
#[derive(Clone, Debug, Default)]
pub struct Fixed {
    /// What moves in a product does not move here.
    pub live: LiveView,
    /// Every running meter.
    pub meters: Vec<MeterView>,
    /// Every document, with the bytes that all of its formats have.
    pub documents: Vec<(DocumentRow, String)>,
}

impl OpsSource for Fixed {
    fn live(&self) -> Answering<'_, LiveView> {
        Box::pin(std::future::ready(self.live.clone()))
    }

    fn meters(&self, page: usize, search: &str) -> Answering<'_, MetersPage> {
        let page = MetersPage::of(&self.meters, page, search);
        Box::pin(std::future::ready(page))
    }

    fn documents(&self) -> Answering<'_, Vec<DocumentRow>> {
        let rows = self.documents.iter().map(|(row, _)| row.clone()).collect();
        Box::pin(std::future::ready(rows))
    }

    fn document(&self, number: &str, format: &str) -> Answering<'_, Option<(String, Vec<u8>)>> {
        let found = self.documents.iter().find(|(row, _)| row.number == number);
        let answer = found
            .filter(|(row, _)| row.formats.iter().any(|known| known == format))
            .and_then(|(_, text)| {
                Some((media_type(format)?.to_owned(), text.clone().into_bytes()))
            });
        Box::pin(std::future::ready(answer))
    }
}

/// The media type of a document's format.
#[must_use]
pub fn media_type(format: &str) -> Option<&'static str> {
    Some(match format {
        "html" => "text/html; charset=utf-8",
        "json" => "application/json",
        "csv" => "text/csv; charset=utf-8",
        _ => return None,
    })
}
