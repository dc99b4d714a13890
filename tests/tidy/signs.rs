//! Every sign that an operator may see has a row in `docs/operating.md`: alarms, figures, and log
//! lines at `WARN` and `ERROR`.

/// What a source shows: the words with which a row has to begin.
pub fn shown(text: &str) -> Vec<String> {
    let mut signs = Vec::new();
    for kind in after(text, "kind: \"") {
        // Other views have kinds too; an alarm's own is a plain word in this form.
        if text.contains("AlarmView {") && text.contains(&format!("kind: \"{kind}\".to_owned()")) {
            signs.push(format!("alarm `{kind}`"));
        }
    }
    for name in after(text, "\"faregate_") {
        signs.push(format!("`faregate_{name}`"));
    }
    for level in ["warn!(", "error!("] {
        for (at, _) in text.match_indices(level) {
            let said = text[at..].split(");").next().unwrap_or_default();
            let verb = after(said, "verb = \"").into_iter().next();
            let words = after(said, "\"").into_iter().next();
            signs.push(match (verb, words) {
                (Some(verb), _) => format!("`verb={verb}`"),
                (None, Some(words)) => {
                    let words = words.split(';').next().unwrap_or_default();
                    format!("`{words}`")
                }
                (None, None) => "a log line without a verb or words".to_owned(),
            });
        }
    }
    signs
}

/// What stands between each `start` and the next quote.
fn after(text: &str, start: &str) -> Vec<String> {
    let found = text.match_indices(start).map(|(at, _)| {
        let rest = &text[at + start.len()..];
        rest.split('"').next().unwrap_or_default().to_owned()
    });
    found.collect()
}

/// Whether the document has a row for the sign: a table's line whose first cell begins with it.
pub fn has_row(document: &str, sign: &str) -> bool {
    let mut lines = document.lines();
    lines.any(|line| {
        let cell = line
            .strip_prefix("| ")
            .and_then(|rest| rest.split(" |").next());
        cell.is_some_and(|cell| cell == sign)
    })
}
