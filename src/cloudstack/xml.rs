//! Pure: XML of CloudStack → a tree, bounded in depth and number of elements.

use super::tree::Node;
use quick_xml::Reader;
use quick_xml::events::Event;

/// Elements within each other; CloudStack's answers are a handful deep.
const DEPTH_MAX: usize = 32;
/// Elements of one answer: a page of 500 VMs has some 50,000.
const NODES_MAX: usize = 2_000_000;

/// Why an answer could not be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("CloudStack's answer is not XML that can be read: {0}")]
pub struct XmlFault(pub String);

/// The tree of a document: its root element.
///
/// # Errors
/// [`XmlFault`] for what is not well-formed, not UTF-8, or beyond the bounds.
pub fn read(bytes: &[u8]) -> Result<Node, XmlFault> {
    let text = std::str::from_utf8(bytes).map_err(|e| XmlFault(e.to_string()))?;
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Node> = Vec::new();
    let mut nodes = 0_usize;
    loop {
        let event = reader.read_event().map_err(|e| XmlFault(e.to_string()))?;
        match event {
            Event::Start(start) => {
                nodes = nodes.saturating_add(1);
                if open.len() >= DEPTH_MAX || nodes > NODES_MAX {
                    return Err(XmlFault("it is too deep or too long".to_owned()));
                }
                open.push(Node::leaf(start.name().as_ref(), ""));
            }
            Event::Empty(start) => {
                let leaf = Node::leaf(start.name().as_ref(), "");
                match open.last_mut() {
                    Some(parent) => parent.children.push(leaf),
                    None => return Ok(leaf),
                }
            }
            Event::Text(piece) => {
                push_text(&mut open, &piece);
            }
            Event::CData(piece) => {
                push_text(&mut open, &piece);
            }
            Event::GeneralRef(entity) => {
                push_text(&mut open, &entity_text(&entity)?);
            }
            Event::End(_) => {
                if let Some(root) = close(&mut open) {
                    return Ok(root);
                }
            }
            Event::Eof => return Err(XmlFault("it ends before its root does".to_owned())),
            Event::DocType(_) => return Err(XmlFault("it has a document type".to_owned())),
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
        }
    }
}

/// Ends the innermost element; gives the root when it was that.
fn close(open: &mut Vec<Node>) -> Option<Node> {
    let mut ended = open.pop()?;
    if !ended.children.is_empty() {
        ended.text.clear();
    }
    match open.last_mut() {
        Some(parent) => {
            parent.children.push(ended);
            None
        }
        None => Some(ended),
    }
}

fn push_text(open: &mut [Node], piece: &str) {
    if let Some(node) = open.last_mut() {
        node.text.push_str(piece);
    }
}

fn entity_text(name: &str) -> Result<String, XmlFault> {
    let fault = || XmlFault(format!("it holds the unknown entity &{name};"));
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => number.parse(),
        };
        return code
            .ok()
            .and_then(char::from_u32)
            .map(String::from)
            .ok_or_else(fault);
    }
    let text = match name {
        "lt" => "<",
        "gt" => ">",
        "amp" => "&",
        "quot" => "\"",
        "apos" => "'",
        _ => return Err(fault()),
    };
    Ok(text.to_owned())
}
