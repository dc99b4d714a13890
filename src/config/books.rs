//! Edge: where the books lie when one machine is not enough.

use super::shape::Faults;
use secrecy::SecretString;
use serde::Deserialize;
use toml::Spanned;

/// The PostgreSQL that several nodes keep their books in.
#[derive(Clone, Debug)]
pub struct PostgresConfig {
    /// `postgres://user:password@host/database`; it may carry a password.
    pub url: SecretString,
    /// This node's name, its own among those that share the books.
    pub node: String,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenPostgres {
    url: Option<Spanned<String>>,
    node: Option<Spanned<String>>,
}

/// The table `[postgres]`; without it, and without `FAREGATE_POSTGRES_URL`, the books are two
/// files.
pub(super) fn check_postgres(
    written: &Option<WrittenPostgres>,
    environment: &dyn Fn(&str) -> Option<String>,
    faults: &mut Faults<'_>,
) -> Option<PostgresConfig> {
    let none = WrittenPostgres::default();
    let told = written.as_ref().unwrap_or(&none);
    let in_file = told.url.as_ref().map(|text| text.get_ref().clone());
    let url = environment("FAREGATE_POSTGRES_URL").or(in_file);
    let offset = told.url.as_ref().map_or(0, |text| text.span().start);
    let Some(url) = url else {
        if written.is_some() {
            faults.at(
                offset,
                "[postgres] without postgres.url".to_owned(),
                "name the database, or set FAREGATE_POSTGRES_URL, or remove the table",
            );
        }
        return None;
    };
    let known = ["postgres://", "postgresql://"];
    if !known.iter().any(|scheme| url.starts_with(scheme)) {
        // The value is not told: it may carry a password.
        let what = "postgres.url is not the address of a PostgreSQL".to_owned();
        let instead = "write for example \"postgres://faregate@10.0.0.9/faregate\"";
        faults.at(offset, what, instead);
    }
    let node = told.node.as_ref().map(|text| text.get_ref().clone());
    let node = environment("FAREGATE_NODE").or(node);
    let plain = |name: &String| {
        let known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        (1..=64).contains(&name.len()) && name.chars().all(known)
    };
    let Some(node) = node.filter(plain) else {
        let what = "postgres.node is missing or no name".to_owned();
        let instead = "give each node a name of its own in letters, digits, `-`, `_` and `.`, \
                       for example node = \"gate-1\", or set FAREGATE_NODE";
        let offset = told.node.as_ref().map_or(offset, |text| text.span().start);
        faults.at(offset, what, instead);
        return None;
    };
    Some(PostgresConfig {
        url: SecretString::from(url),
        node,
    })
}
