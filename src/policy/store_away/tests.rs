//! Pure: what a profile may say of books that are away.

use super::*;
use crate::policy::check;

fn profile(store_away: &str) -> Result<StoreAway, String> {
    let text = format!("[[prepaid]]\nid = \"one\"\n{store_away}\n");
    let files = [("prepaid.toml".to_owned(), text)];
    match check::load(&files) {
        Ok(rules) => Ok(rules.prepaid["one"].store_away),
        Err(faults) => Err(faults[0].to_string()),
    }
}

#[test]
fn whoever_is_not_opened_in_so_many_words_is_closed() {
    let open = StoreAway::OpenUpTo(Micros::new(50_000_001));
    let cases = [
        ("", StoreAway::Closed),
        ("store_away = \"closed\"", StoreAway::Closed),
        ("store_away = { open_up_to = \"50.000001\" }", open),
    ];
    for (text, said) in cases {
        assert_eq!(profile(text), Ok(said), "{text}");
    }
    for wrong in [
        "store_away = \"open\"",
        "store_away = { open_up_to = \"-1\" }",
        "store_away = { open_up_to = \"much\" }",
        "store_away = { open_up_to = \"99999999999999\" }",
        "store_away = { open_up_to = \"5\", more = \"1\" }",
        "store_away = 5",
        "when_store_is_down = \"closed\"",
    ] {
        let fault = profile(wrong).unwrap_err();
        assert!(fault.starts_with("prepaid.toml:3: "), "{wrong}: {fault}");
    }
}
