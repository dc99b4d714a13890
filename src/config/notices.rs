//! Edge: how customers are told: the mail server, and the secret that webhooks are signed with.

use super::shape::Faults;
use secrecy::SecretString;
use serde::Deserialize;
use std::path::Path;
use toml::Spanned;

/// How notices leave.
#[derive(Clone, Debug, Default)]
pub struct NoticesConfig {
    /// The mail server; its URL may carry a password.
    pub smtp_url: Option<SecretString>,
    /// Whom mails are from.
    pub mail_from: String,
    /// The secret that customers' webhook keys are made of.
    pub webhook_secret: Option<SecretString>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenNotices {
    smtp_url: Option<Spanned<String>>,
    mail_from: Option<Spanned<String>>,
    webhook_secret_file: Option<Spanned<String>>,
}

/// The table `[notices]`.
pub(super) fn check_notices(
    written: &WrittenNotices,
    folder: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
    faults: &mut Faults<'_>,
) -> NoticesConfig {
    let told = written.smtp_url.as_ref().map(|url| url.get_ref().clone());
    let smtp_url = environment("FAREGATE_SMTP_URL").or(told);
    let offset = written.smtp_url.as_ref().map_or(0, |url| url.span().start);
    let known = |url: &String| ["smtp://", "smtps://"].iter().any(|s| url.starts_with(s));
    if !smtp_url.as_ref().is_none_or(known) {
        // The value is not told: it may carry a password.
        let what = "notices.smtp_url is not the address of a mail server".to_owned();
        faults.at(offset, what, "write for example \"smtp://mail.example:25\"");
    }
    let from = written.mail_from.as_ref();
    let from = environment("FAREGATE_MAIL_FROM").or_else(|| from.map(|it| it.get_ref().clone()));
    if smtp_url.is_some() && from.is_none() {
        let what = "notices.smtp_url without notices.mail_from".to_owned();
        let instead = "write for example mail_from = \"Example Cloud <billing@cloud.example>\"";
        faults.at(offset, what, instead);
    }
    let secret = written.webhook_secret_file.as_ref();
    let secret = secret.and_then(|name| secret_in(name, folder, faults));
    let secret = environment("FAREGATE_WEBHOOK_SECRET").map_or(secret, |text| Some(text.into()));
    NoticesConfig {
        smtp_url: smtp_url.map(SecretString::from),
        mail_from: from.unwrap_or_default(),
        webhook_secret: secret,
    }
}

/// A secret alone in its file.
fn secret_in(
    name: &Spanned<String>,
    folder: &Path,
    faults: &mut Faults<'_>,
) -> Option<SecretString> {
    let path = folder.join(name.get_ref());
    let why = match std::fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => {
            return Some(SecretString::from(text.trim().to_owned()));
        }
        Ok(_) => "is empty".to_owned(),
        Err(e) => format!("cannot be read: {e}"),
    };
    let what = format!("the secret file {} {why}", path.display());
    faults.at(name.span().start, what, "name a file with the secret alone");
    None
}
