//! Edge: the service account that acts: it stops machines at the end of the money.

use super::shape::Faults;
use secrecy::SecretString;
use std::path::Path;
use toml::Spanned;

/// The acting service account.
#[derive(Clone, Debug)]
pub struct ActorConfig {
    /// Its API key.
    pub key: String,
    /// Its secret.
    pub secret: SecretString,
}

/// `upstream.actor_key` and `upstream.actor_secret_file`, or `FAREGATE_ACTOR_KEY` and
/// `FAREGATE_ACTOR_SECRET`, which win. None where there is no key: then nothing is ever stopped.
pub(super) fn check_actor(
    key: Option<&Spanned<String>>,
    secret_file: Option<&Spanned<String>>,
    folder: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
    faults: &mut Faults<'_>,
) -> Option<ActorConfig> {
    let told = key.map(|key| key.get_ref().clone());
    let found = environment("FAREGATE_ACTOR_KEY").or(told);
    let offset = key.map_or(0, |key| key.span().start);
    let found = found.filter(|key| !key.is_empty())?;
    let secret = environment("FAREGATE_ACTOR_SECRET").map(Ok);
    let secret = secret.or_else(|| {
        let path = folder.join(secret_file?.get_ref());
        let read = std::fs::read_to_string(&path);
        Some(read.map_err(|error| format!("{} cannot be read: {error}", path.display())))
    });
    let (what, offset) = match secret {
        Some(Ok(text)) if !text.trim().is_empty() => {
            return Some(ActorConfig {
                key: found,
                secret: SecretString::from(text.trim().to_owned()),
            });
        }
        Some(Ok(_)) => ("its secret is empty".to_owned(), offset),
        Some(Err(what)) => {
            let at = secret_file.map_or(offset, |file| file.span().start);
            (what, at)
        }
        None => ("it has no secret".to_owned(), offset),
    };
    let what = format!("the acting service account: {what}");
    let instead = "write upstream.actor_secret_file with its secret key, or set \
                   FAREGATE_ACTOR_SECRET; without actor_key nothing is ever stopped";
    faults.at(offset, what, instead);
    None
}
