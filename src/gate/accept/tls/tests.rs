//! Edge: which files are taken as certificates, and what is said of those that are not.
#![allow(clippy::disallowed_methods, reason = "a test has a clock of its own")]

use super::*;
use crate::clock::Clock;
use rcgen::{CertificateParams, KeyPair};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tls-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A certificate for that name, valid from and until those years.
    fn write(&self, name: &str, from: i32, until: i32) -> Files {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let certificate = params.self_signed(&key).unwrap();
        let files = self.files(name);
        std::fs::write(&files.chain, certificate.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }

    fn files(&self, name: &str) -> Files {
        Files {
            chain: self.0.join(format!("{name}.crt")),
            key: self.0.join(format!("{name}.key")),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn now() -> Timestamp {
    Clock::system().wall()
}

#[test]
fn what_cannot_be_used_is_refused_with_its_reason_and_the_old_stays() {
    let folder = Folder::new("refused");
    let good = folder.write("good", 2020, 2200);
    let other = folder.write("other", 2020, 2200);
    let tls = Tls::open(vec![good.clone()], now()).unwrap();
    let chain = std::fs::read_to_string(&good.chain).unwrap();
    let key = std::fs::read_to_string(&good.key).unwrap();
    let expired = folder.write("expired", 2020, 2021);
    let early = folder.write("early", 2190, 2200);
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let half = |text: &str| text[..text.len() / 2].to_owned();
    let table = [
        (half(&chain), key.clone(), "is not whole PEM"),
        (String::new(), key.clone(), "holds no certificate"),
        (chain.clone(), half(&key), "holds no private key"),
        (chain.clone(), read(&other.key), "is not the key of"),
        (read(&expired.chain), read(&expired.key), "expired"),
        (
            read(&early.chain),
            read(&early.key),
            "is not valid for another",
        ),
        (key.clone(), key.clone(), "holds no certificate"),
        (
            format!("{chain}{}", half(&chain)),
            key.clone(),
            "is not whole PEM",
        ),
    ];
    for (chain, key, reason) in table {
        std::fs::write(&good.chain, chain).unwrap();
        std::fs::write(&good.key, key).unwrap();
        let fault = tls.reload(now()).unwrap_err().to_string();
        assert!(fault.contains(reason), "{fault}");
        assert!(tls.days_left(now())[0].1 > 60_000, "the old one is gone");
    }
    std::fs::remove_file(&good.chain).unwrap();
    let fault = tls.reload(now()).unwrap_err().to_string();
    assert!(fault.contains("cannot be read"), "{fault}");
}

#[test]
fn a_certificate_is_chosen_by_the_names_that_stand_in_it() {
    let folder = Folder::new("names");
    let files = vec![
        folder.write("first.example", 2020, 2200),
        folder.write("*.second.example", 2020, 2200),
    ];
    let provider = aws_lc_rs::default_provider();
    let loaded = load(&files, &provider, now()).unwrap();
    let chosen = |name: &str| {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        loaded.iter().position(|one| one.is_for(&name))
    };
    assert_eq!(chosen("first.example"), Some(0));
    assert_eq!(chosen("cloud.second.example"), Some(1));
    assert_eq!(chosen("third.example"), None);
}
