//! Known secrets go through the gate in every kind of call, and then stand nowhere that it writes:
//! logs, figures, operators' answers, refusals, books, facts, environment, command line.

mod search;

use crate::browser::Browser;
use crate::campaign::{Draw, rounds};
use crate::stage::{Caller, Heard, Stage, address_of, exchange, pairs, until};
use faregate::config::vault::Vault;
use faregate::store::{CachedKey, Store};
use search::Search;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

const PAULA: &str = "prepaid-paula";
/// Users beside the demo's, each with a password, a secret key and a login session.
const USERS: u64 = 150;
/// Calls of an ordinary run.
const CALLS: u64 = 2_500;
/// Secrets that are known at least.
const SECRETS: usize = 1_000;
/// What must stand in clear where it stands: the keys' own files, and the cloud behind the gate.
const HOMES: [&str; 4] = ["faregate.key", "reader.secret", "demo.json", "sandbox"];

/// Calls that carry secrets, and what came back.
struct Traffic {
    stage: Stage,
    draw: Draw,
    search: Search,
    users: Vec<User>,
    /// Statuses by kind of call.
    seen: BTreeMap<u16, u64>,
    /// Answers that were no success: the gate's own, and CloudStack's errors as it hands them on.
    refusals: Vec<String>,
}

struct User {
    caller: Caller,
    name: String,
    session: Browser,
}

impl Traffic {
    fn start() -> Self {
        let stage = Stage::start_in("secrets", &["--speed", "60"], &[("RUST_LOG", "trace")]);
        stage.top_up(PAULA, "12", "secrets/1");
        let mut search = Search::default();
        let read = |name: &str| std::fs::read_to_string(stage.folder.join(name)).unwrap();
        let master = read("faregate.key");
        search.add("master key, as written", master.trim());
        search.add("master key", bytes_of(master.trim()));
        search.add("reader's secret", read("reader.secret").trim());
        search.add("administrator's secret", stage.admin().secret);
        search.add("a customer's secret", stage.customer(0).secret);
        search.add("a customer's secret", stage.customer(1).secret);
        Self {
            stage,
            draw: Draw::of_round(13),
            search,
            users: Vec::new(),
            seen: BTreeMap::new(),
            refusals: Vec::new(),
        }
    }

    /// A new secret, some with what URLs and base64 escape.
    fn secret(&mut self, what: &str) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut letter = || {
            let at = self.draw.below(LETTERS.len() as u64) as usize;
            char::from(LETTERS[at])
        };
        let secret: String = (0..28).map(|_| letter()).collect();
        self.search.add(what, &secret);
        secret
    }

    fn heard(&mut self, heard: Option<Heard>) -> Heard {
        let heard = heard.expect("every call is answered");
        *self.seen.entry(heard.status).or_default() += 1;
        if heard.status != 200 {
            self.refusals
                .push(format!("{}\n{}", heard.head, heard.body));
        }
        heard
    }

    /// A user of the prepaid customer's account, made, given keys and logged in through the gate.
    fn add_user(&mut self, index: u64) {
        let admin = Caller {
            endpoint: self.stage.text("/endpoint"),
            ..self.stage.admin()
        };
        let domain = self.stage.text("/customers/0/domain_id");
        let name = format!("user-{index}");
        let password = self.secret("a user's password");
        let asked = [
            ("username", name.as_str()),
            ("account", PAULA),
            ("domainid", &domain),
            ("firstname", "A"),
            ("lastname", "User"),
            ("email", "user@example.com"),
            ("password", &password),
        ];
        let made = admin.call("createUser", &asked);
        let made = self.heard(made);
        assert_eq!(made.status, 200, "user {index}: {}", made.body);
        let id = made.inside()["user"]["id"].as_str().unwrap().to_owned();
        let (key, secret) = (format!("{name}-{index:060}"), self.secret("a secret key"));
        let asked = [
            ("id", id.as_str()),
            ("userapikey", &key),
            ("usersecretkey", &secret),
        ];
        let given = admin.call("updateUser", &asked);
        assert_eq!(self.heard(given).status, 200);
        let endpoint = admin.endpoint;
        let mut session = Browser::new(&endpoint);
        let heard = self.login(&mut session, &name, &password);
        assert_eq!(heard.status, 200, "{}", heard.body);
        session.key = heard.inside()["sessionkey"].as_str().unwrap().to_owned();
        self.search.add("a session key", &session.key);
        self.search.add("a session", session.cookie("JSESSIONID"));
        self.users.push(User {
            caller: Caller {
                endpoint,
                key,
                secret,
            },
            name,
            session,
        });
    }

    fn login(&mut self, session: &mut Browser, name: &str, password: &str) -> Heard {
        let heard = session.post(&[
            ("command", "login"),
            ("response", "json"),
            ("username", name),
            ("password", password),
            ("domain", PAULA),
        ]);
        self.heard(Some(heard))
    }

    /// One call of a kind, with a secret of its own where the kind has room for one.
    fn call(&mut self, index: u64) {
        let at = (index / 10 % USERS) as usize;
        let caller = self.users[at].caller.clone();
        let heard = match index % 10 {
            0 => caller.call("listVirtualMachines", &[("response", "xml")]),
            1 => self.deploy(&caller, "", &[]),
            2 => {
                let stolen = self.users[(at + 1) % self.users.len()]
                    .caller
                    .secret
                    .clone();
                let thief = Caller {
                    secret: stolen,
                    ..caller
                };
                thief.call("stopVirtualMachine", &[("id", "none")])
            }
            3 => Some(self.users[at].session.call("listZones", &[])),
            4 => self.session_deploy(at),
            5 => {
                let wrong = self.secret("a wrong password");
                let name = self.users[at].name.clone();
                let mut session = Browser::new(&caller.endpoint);
                self.login(&mut session, &name, &wrong);
                return;
            }
            6 => {
                let data = self.user_data();
                let id = uuid::Uuid::nil().to_string();
                caller.call(
                    "resetUserDataForVirtualMachine",
                    &[("id", &id), ("userdata", &data)],
                )
            }
            7 => self.deploy(&caller, "", &[("customjobid", "mine")]),
            8 => {
                let (key, psk) = (self.secret("a private key"), self.secret("a password"));
                let asked = [
                    ("certificate", "none"),
                    ("privatekey", key.as_str()),
                    ("password", &psk),
                ];
                caller.call("uploadSslCert", &asked)
            }
            _ => self.deploy(&caller, "X-Faregate-Estimate: 1\r\n", &[]),
        };
        self.heard(heard);
    }

    fn user_data(&mut self) -> String {
        use base64::Engine as _;
        let text = format!("#cloud-config\npassword: {}\n", self.secret("user data"));
        base64::engine::general_purpose::STANDARD.encode(text)
    }

    fn deploy_params(&mut self) -> Vec<(String, String)> {
        let mut params = self.stage.small_vm(0);
        params.push(("userdata".to_owned(), self.user_data()));
        let detail = self.secret("a detail of user data");
        params.push(("userdatadetails[0].token".to_owned(), detail));
        params
    }

    fn deploy(&mut self, caller: &Caller, head: &str, more: &[(&str, &str)]) -> Option<Heard> {
        let params = self.deploy_params();
        let mut all: Vec<(&str, &str)> = pairs(&params);
        all.extend_from_slice(more);
        caller.call_with(head, "json", "deployVirtualMachine", &all)
    }

    fn session_deploy(&mut self, at: usize) -> Option<Heard> {
        let params = self.deploy_params();
        let session = &mut self.users[at].session;
        Some(session.call("deployVirtualMachine", &pairs(&params)))
    }

    /// Every answer of the operators' own socket.
    fn operators_answers(&self) -> Vec<(String, String)> {
        let address = address_of(&self.stage.text("/operator_page"));
        let paths = [
            "/",
            "/page.js",
            "/live.json",
            "/meters.json",
            "/invoices.json",
            "/healthz",
            "/metrics",
            "/accrued-through",
        ];
        let ask = |path: &str| {
            let request =
                format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
            let heard = exchange(&address, &request).unwrap();
            assert_eq!(heard.status, 200, "{path}: {}", heard.body);
            (path.to_owned(), format!("{}\n{}", heard.head, heard.body))
        };
        paths.map(ask).to_vec()
    }
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

/// Files of the folder that may not hold a secret, with their bytes.
fn written(folder: &Path, into: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if HOMES.contains(&name.as_str()) {
            continue;
        }
        match path.is_dir() {
            true => written(&path, into),
            // A log of the database's writes may go while it is read.
            false => into.extend(std::fs::read(&path).ok().map(|bytes| (name, bytes))),
        }
    }
}

/// Environment and command line of every process of the program that has the folder open as its
/// state. A process that may not be looked into shows nothing.
fn processes(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let wanted = folder.display().to_string();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let words = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if !String::from_utf8_lossy(&words).contains(&wanted) {
            continue;
        }
        match std::fs::read(entry.path().join("environ")) {
            Ok(bytes) => found.push(("environment".to_owned(), bytes)),
            Err(fault) => assert_eq!(fault.kind(), std::io::ErrorKind::PermissionDenied),
        }
        found.push(("command line".to_owned(), words));
    }
    found
}

/// All bytes of a folder.
fn all_of(folder: &Path) -> Vec<u8> {
    let files = std::fs::read_dir(folder).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.is_file())
        .flat_map(|path| std::fs::read(path).unwrap())
        .collect()
}

#[test]
fn no_known_secret_stands_in_anything_that_the_gate_writes() {
    let mut traffic = Traffic::start();
    for index in 0..USERS {
        traffic.add_user(index);
    }
    let calls = rounds("secrets", CALLS);
    for index in 0..calls {
        if index % 400 == 7 {
            traffic.stage.fault("answer-lost", 2);
            traffic.stage.fault("dies-before-job-row", 1);
            traffic.stage.fault("job-fails-after-vm", 1);
        }
        traffic.call(index);
    }
    let known = traffic.search.count();
    println!("{known} secrets, answers by status: {:?}", traffic.seen);
    assert!(known >= SECRETS, "{known} secrets alone");
    for status in [200, 401, 431, 535] {
        assert!(traffic.seen.contains_key(&status), "{:?}", traffic.seen);
    }
    until("machines run", || {
        !traffic.stage.machines("Running").is_empty()
    });

    let folder = traffic.stage.folder.clone();
    let mut places = processes(&folder);
    assert!(places.len() >= 2, "gate and sandbox run");
    let told = traffic.operators_answers();
    places.extend(
        told.into_iter()
            .map(|(path, text)| (path, text.into_bytes())),
    );
    let refusals = traffic.refusals.join("\n");
    places.push(("answers other than 200".to_owned(), refusals.into_bytes()));
    written(&folder, &mut places);
    traffic.stage.stop();
    written(&folder, &mut places);
    let log = std::fs::read(folder.with_extension("log")).unwrap();
    let lines = String::from_utf8_lossy(&log);
    assert!(lines.contains("ready") && lines.contains("WARN"), "{lines}");
    println!("{} lines of log", lines.lines().count());
    places.push(("log".to_owned(), log));

    let length = |name: &str| {
        let named = places.iter().filter(|(place, _)| place == name);
        named.map(|(_, bytes)| bytes.len()).max().unwrap_or(0)
    };
    for name in ["ledger.db", "facts.db", "/metrics"] {
        assert!(length(name) > 1_000, "{name} holds {} bytes", length(name));
    }
    let hits: Vec<(String, Vec<String>)> = places
        .iter()
        .map(|(place, bytes)| (place.clone(), traffic.search.found_in(bytes)))
        .filter(|(_, found)| !found.is_empty())
        .map(|(place, mut found)| {
            found.truncate(8);
            (place, found)
        })
        .collect();
    assert!(hits.is_empty(), "{hits:#?}");
    // The same search finds them where they do stand: the calls did carry them.
    let cloud = traffic.search.found_in(&all_of(&folder.join("sandbox")));
    assert!(
        cloud.len() > 2 * USERS as usize,
        "{} in the cloud",
        cloud.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_key_that_is_put_in_another_ones_place_does_not_open() {
    let mut stage = Stage::start("secrets-swapped", &[]);
    let callers = [0, 1].map(|index| stage.customer(index));
    for caller in &callers {
        let id = uuid::Uuid::nil().to_string();
        let heard = caller.call("startVirtualMachine", &[("id", &id)]).unwrap();
        assert_ne!(heard.status, 401, "{heard:?}");
    }
    stage.stop();
    let books = find(&stage.folder, "facts.db");
    let store = Store::open(books.parent().unwrap()).await.unwrap();
    let vault = Vault::open(&stage.folder.join("faregate.key")).unwrap();
    let mut rows: Vec<CachedKey> = Vec::new();
    for caller in &callers {
        let digest = Sha256::digest(caller.key.as_bytes());
        let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let row = store.facts().key(&hash).await.unwrap();
        rows.push(row.expect("the gate keeps what it learnt"));
    }
    for (row, caller) in rows.iter().zip(&callers) {
        let open = vault.open_sealed(&row.key_hash, &row.ciphertext).unwrap();
        let text = String::from_utf8_lossy(&open).into_owned();
        assert!(
            text.contains(&caller.secret),
            "a row opens in its own place"
        );
    }
    assert!(
        vault
            .open_sealed(&rows[0].key_hash, &rows[1].ciphertext)
            .is_none()
    );
    assert!(
        vault
            .open_sealed(&rows[1].key_hash, &rows[0].ciphertext)
            .is_none()
    );
    for (to, from) in [(0, 1), (1, 0)] {
        let swapped = CachedKey {
            key_hash: rows[to].key_hash.clone(),
            ..rows[from].clone()
        };
        store.facts().put_key(&swapped).await.unwrap();
    }
    store.close().await;
    drop(store);
    // A gate that finds the swapped rows asks CloudStack instead, and lets nobody in as another.
    stage.start_again();
    let id = uuid::Uuid::nil().to_string();
    for (index, other) in [(0, 1), (1, 0)] {
        let own = stage.customer(index);
        let heard = own.call("startVirtualMachine", &[("id", &id)]).unwrap();
        assert_ne!(heard.status, 401, "{heard:?}");
        let thief = Caller {
            secret: stage.customer(other).secret,
            ..own
        };
        let heard = thief.call("startVirtualMachine", &[("id", &id)]).unwrap();
        assert_eq!(heard.status, 401, "{heard:?}");
    }
}

fn find(folder: &Path, name: &str) -> std::path::PathBuf {
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.ends_with(name) {
                return path;
            }
        }
    }
    panic!("there is no {name}");
}
