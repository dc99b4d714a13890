//! Notices by mail and by webhook, to receivers that fail at first.

use super::{PAULA, SPEED, terms};
pub use super::{machine, told};
use crate::stage::{Stage, until};
use faregate::notice::signing;
use faregate::terms::ids::PayerId;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

const SECRET: &str = "a secret of the operator";

/// What a receiver took.
pub type Taken = Arc<Mutex<Vec<String>>>;

/// A mail server that has no time for the first mail.
fn mail_server() -> (u16, Taken) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let taken = Taken::default();
    let mails = taken.clone();
    std::thread::spawn(move || {
        for (count, stream) in listener.incoming().flatten().enumerate() {
            if let Some(mail) = smtp(stream, count == 0) {
                mails.lock().unwrap().push(mail);
            }
        }
    });
    (port, taken)
}

/// One conversation; gives the mail where one was taken.
fn smtp(mut stream: TcpStream, busy: bool) -> Option<String> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    stream.write_all(b"220 sink\r\n").ok()?;
    let mut mail = None;
    while let Some(Ok(line)) = lines.next() {
        let word = line.to_ascii_uppercase();
        let answer: &[u8] = if word.starts_with("MAIL") && busy {
            b"451 come back later\r\n"
        } else if word.starts_with("DATA") {
            stream.write_all(b"354 go on\r\n").ok()?;
            let body = lines.by_ref().map_while(Result::ok);
            let body: Vec<String> = body.take_while(|line| line != ".").collect();
            mail = Some(body.join("\n"));
            b"250 taken\r\n"
        } else {
            b"250 ok\r\n"
        };
        stream.write_all(answer).ok()?;
        if word.starts_with("QUIT") {
            break;
        }
    }
    mail
}

/// A receiver of webhooks that answers the first one with 500.
pub fn hook_server() -> (u16, Taken) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let taken = Taken::default();
    let posts = taken.clone();
    std::thread::spawn(move || {
        for (count, mut stream) in listener.incoming().flatten().enumerate() {
            let mut bytes = Vec::new();
            let mut part = [0; 4096];
            while let Ok(read) = stream.read(&mut part) {
                bytes.extend(&part[..read]);
                if read == 0 || is_whole(&bytes) {
                    break;
                }
            }
            let text = String::from_utf8_lossy(&bytes).into_owned();
            posts.lock().unwrap().push(text);
            let status = if count == 0 {
                "500 Not Now"
            } else {
                "204 No Content"
            };
            let _ = stream
                .write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes());
        }
    });
    (port, taken)
}

fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
        let length = header(head, "content-length").parse().unwrap_or(0);
        body.len() >= length
    })
}

pub fn header(head: &str, name: &str) -> String {
    let mut lines = head.lines();
    lines
        .find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found
                .eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
        .unwrap_or_default()
}

/// A stage whose first customer is told by webhook.
#[cfg(feature = "crash-points")]
pub fn hooked(name: &str, port: u16, environment: &[(&str, &str)]) -> Stage {
    contacted(name, "", port, environment)
}

fn contacted(name: &str, mail: &str, port: u16, environment: &[(&str, &str)]) -> Stage {
    let own = [("FAREGATE_WEBHOOK_SECRET", SECRET)];
    let environment = [&own, environment].concat();
    let mut stage = Stage::start_in(name, &["--speed", SPEED], &environment);
    let file = stage.folder.join("policies/customers/demo.toml");
    let policy = std::fs::read_to_string(&file).unwrap();
    let contact =
        format!("id = \"{PAULA}\"\n{mail}webhook = \"http://127.0.0.1:{port}/hook?of=paula\"");
    let policy = policy.replacen(&format!("id = \"{PAULA}\""), &contact, 1);
    std::fs::write(&file, policy).unwrap();
    stage.with_policy("prepaid/standard.toml", &terms(""));
    stage
}

#[test]
fn a_notice_reaches_mail_and_webhook_though_both_fail_at_first() {
    let (mail_port, mails) = mail_server();
    let (hook_port, posts) = hook_server();
    let smtp = format!("smtp://127.0.0.1:{mail_port}");
    let environment = [
        ("FAREGATE_SMTP_URL", smtp.as_str()),
        (
            "FAREGATE_MAIL_FROM",
            "Example Cloud <billing@cloud.example>",
        ),
    ];
    let mail = "mail = [\"paula@customer.example\"]\n";
    let stage = contacted("ladder-notices", mail, hook_port, &environment);
    machine(&stage);
    until("both are delivered", || {
        told(&stage)
            .iter()
            .any(|(step, how)| step == "notice-86400s" && how == "mail sent, webhook sent")
    });
    let mail = mails.lock().unwrap()[0].clone();
    assert!(mail.contains("To: paula@customer.example"), "{mail}");
    assert!(
        mail.contains("Subject: Example Cloud Ltd: your money lasts"),
        "{mail}"
    );
    assert!(mail.contains("https://cloud.example.com/top-up"), "{mail}");
    // Three notices fell due at once: the nearest alone was sent, the others are shown.
    assert_eq!(
        told(&stage)
            .iter()
            .filter(|(_, how)| !how.is_empty())
            .count(),
        1
    );
    let posts = posts.lock().unwrap().clone();
    assert_eq!(posts.len(), 2, "the one that failed comes again");
    let ids: Vec<String> = posts
        .iter()
        .map(|post| {
            let (head, body) = post.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("POST /hook?of=paula HTTP/1.1"), "{head}");
            let id = header(head, "webhook-id");
            let seconds = header(head, "webhook-timestamp").parse().unwrap();
            let key = signing::key_of(SECRET.as_bytes(), &PayerId::from(PAULA));
            let signed = signing::signature(&key, &id, seconds, body);
            assert_eq!(header(head, "webhook-signature"), signed);
            id
        })
        .collect();
    assert_eq!(ids[0], ids[1], "the same notice has the same id");
}
