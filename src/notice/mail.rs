//! Edge: notices by mail, through the operator's SMTP server.

use super::text::Delivery;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;

/// A server that does not answer is tried again later.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// The way to the SMTP server.
#[derive(Clone)]
pub struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mail(from {})", self.from)
    }
}

impl Mail {
    /// Mail from `from` by the server of an SMTP URL (`smtp://host:25`, `smtps://user:pw@host`).
    ///
    /// # Errors
    /// What is wrong with either; the URL, which may carry a password, is not told.
    pub fn new(url: &SecretString, from: &str) -> Result<Self, String> {
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose_secret());
        let transport = transport
            .map_err(|_| "notices.smtp_url is no SMTP address; write smtp://host:25".to_owned())?;
        let from = from
            .parse()
            .map_err(|e| format!("notices.mail_from `{from}` is no mail address: {e}"))?;
        Ok(Self {
            transport: transport.timeout(Some(ANSWER_MAX)).build(),
            from,
        })
    }

    /// Sends one notice; `Ok` once the server took it.
    ///
    /// # Errors
    /// What the server said, for the notice's own row.
    pub async fn send(&self, delivery: &Delivery) -> Result<(), String> {
        let to: Mailbox = delivery
            .target
            .parse()
            .map_err(|e| format!("`{}` is no mail address: {e}", delivery.target))?;
        let host = self.from.email.domain();
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(delivery.subject.as_str())
            // The same notice has the same id: a mailbox may drop a second copy.
            .message_id(Some(format!("<{}@{host}>", delivery.id)))
            .header(ContentType::TEXT_PLAIN)
            .body(delivery.body.clone())
            .map_err(|e| e.to_string())?;
        let sent = self.transport.send(message).await;
        sent.map(drop).map_err(|e| e.to_string())
    }
}
