//! Known secrets, searched for in any bytes: as they are, in base64 at each of its three alignments
//! (both alphabets), in hex (both cases) and percent-encoded.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use std::collections::{BTreeSet, HashMap};

/// The part of a needle that is looked up.
const START: usize = 8;

/// Secrets with what each is, in every form.
#[derive(Default)]
pub struct Search {
    /// By the needle's first bytes: the needle, and whose form it is.
    needles: HashMap<[u8; START], Vec<(Vec<u8>, usize)>>,
    secrets: Vec<(String, Vec<u8>)>,
}

impl Search {
    /// Adds a secret; `what` is printed where it is found, never the secret.
    pub fn add(&mut self, what: &str, secret: impl AsRef<[u8]>) {
        let secret = secret.as_ref();
        assert!(secret.len() >= 12, "{what} is too short to be told apart");
        if self.secrets.iter().any(|(_, known)| known == secret) {
            return;
        }
        let index = self.secrets.len();
        self.secrets.push((what.to_owned(), secret.to_owned()));
        for form in forms(secret) {
            let start = *form.first_chunk::<START>().unwrap();
            self.needles.entry(start).or_default().push((form, index));
        }
    }

    /// How many secrets are known.
    pub fn count(&self) -> usize {
        self.secrets.len()
    }

    /// Which secrets stand in the bytes, by what they are.
    pub fn found_in(&self, bytes: &[u8]) -> Vec<String> {
        let mut found = BTreeSet::new();
        for (at, start) in bytes.windows(START).enumerate() {
            let start: &[u8; START] = start.try_into().unwrap();
            for (needle, index) in self.needles.get(start).into_iter().flatten() {
                if bytes[at..].starts_with(needle) {
                    found.insert(*index);
                }
            }
        }
        let name = |index: usize| format!("{} ({index})", self.secrets[index].0);
        found.into_iter().map(name).collect()
    }
}

fn forms(secret: &[u8]) -> BTreeSet<Vec<u8>> {
    let hex = |upper: bool| -> String {
        let byte = |b: &u8| match upper {
            true => format!("{b:02X}"),
            false => format!("{b:02x}"),
        };
        secret.iter().map(byte).collect()
    };
    let percent = |upper: bool| -> String {
        let byte = |b: &u8| match (b.is_ascii_alphanumeric() || b"-_.~".contains(b), upper) {
            (true, _) => char::from(*b).to_string(),
            (false, true) => format!("%{b:02X}"),
            (false, false) => format!("%{b:02x}"),
        };
        secret.iter().map(byte).collect()
    };
    let mut forms = BTreeSet::from([secret.to_vec()]);
    for upper in [false, true] {
        forms.insert(hex(upper).into_bytes());
        forms.insert(percent(upper).into_bytes());
    }
    for before in 0..3_usize {
        let mut whole = vec![0; before];
        whole.extend_from_slice(secret);
        // Characters that hang on the neighbours are no part of what is searched.
        let from = [0, 2, 3][before];
        let to = whole.len() * 8 / 6;
        for engine in [&STANDARD, &URL_SAFE] {
            forms.insert(engine.encode(&whole).as_bytes()[from..to].to_vec());
        }
    }
    forms
}

#[test]
fn a_secret_is_found_in_every_form_and_at_every_place() {
    let mut search = Search::default();
    search.add("first", "kQ9+z/7Lp0aa%Tr");
    search.add("second", [7, 200, 13, 99, 1, 2, 3, 4, 5, 6, 7, 8, 250]);
    let secret = b"kQ9+z/7Lp0aa%Tr";
    let mut planted = vec![
        secret.to_vec(),
        b"kQ9%2Bz%2F7Lp0aa%25Tr".to_vec(),
        b"6b51392b7a2f374c703061612554 72"
            .iter()
            .copied()
            .filter(|b| *b != b' ')
            .collect(),
    ];
    for before in ["", "a", "ab", "abc"] {
        let whole = [before.as_bytes(), secret, b"tail"].concat();
        planted.push(STANDARD.encode(&whole).into_bytes());
        planted.push(URL_SAFE.encode(&whole).into_bytes());
    }
    for form in planted {
        let bytes = [b"some text ".as_slice(), &form, b"\0 more"].concat();
        let shown = String::from_utf8_lossy(&bytes);
        assert_eq!(search.found_in(&bytes), ["first (0)"], "{shown}");
    }
    assert!(search.found_in(b"kQ9+z/7Lp0aa%T and no more").is_empty());
    assert!(search.found_in(b"short").is_empty());
}
