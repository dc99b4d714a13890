//! A real PostgreSQL of the tests' own, and where a test keeps its books: in a folder or in there.
//!
//! One server serves all tests of a run, each in a database of its own; it ends with the run. What
//! breaks the server has one to itself.

use crate::store::Folder;
use faregate::store::{Place, Store};
use secrecy::SecretString;
use sqlx::Connection as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A server in a folder of its own.
pub struct Server {
    port: u16,
    /// Addresses that it listens on, as PostgreSQL lists them.
    hosts: String,
    /// What it keeps, the data beside it.
    home: PathBuf,
    /// Taken away with it.
    _folder: Folder,
}

/// Ends the server when the process of the tests is gone, however it ended, and takes its folder
/// away then: the server that all tests share is a static, which is never dropped.
const WATCHED: &str = "tests=$1; folder=$2; shift 2; \"$@\" & server=$!\n\
    while kill -0 \"$tests\" 2>/dev/null && kill -0 $server 2>/dev/null; do sleep 0.2; done\n\
    kill -QUIT $server 2>/dev/null; wait $server; ended=$?\n\
    kill -0 \"$tests\" 2>/dev/null || rm -rf \"$folder\"; exit $ended";

impl Server {
    /// The one that all tests share.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A new one.
    pub fn start() -> Self {
        Self::start_on("127.0.0.1")
    }

    /// A new one that listens on these addresses.
    pub fn start_on(hosts: &str) -> Self {
        let folder = Folder::fresh("postgres");
        let home = folder.0.clone();
        Self::made(folder, home, hosts)
    }

    /// A new one with its files in a folder of somebody else's.
    pub fn start_in(home: &Path) -> Self {
        std::fs::create_dir_all(home).unwrap();
        Self::made(Folder::fresh("postgres"), home.to_owned(), "127.0.0.1")
    }

    fn made(folder: Folder, home: PathBuf, hosts: &str) -> Self {
        if root() {
            let mut owned = Command::new("chown");
            let owned = owned.arg("postgres").arg(&home).status();
            assert!(owned.unwrap().success(), "PostgreSQL does not run as root");
        }
        let made = tool("initdb")
            .args(["--auth=trust", "--username=faregate", "--encoding=UTF8"])
            .args(["--locale=C.UTF-8", "--no-sync", "--pgdata"])
            .arg(home.join("data"))
            .current_dir(&home)
            .stdout(Stdio::null())
            .status();
        assert!(made.unwrap().success(), "initdb fails");
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let server = Self {
            port,
            hosts: hosts.to_owned(),
            home,
            _folder: folder,
        };
        server.serve();
        server
    }

    /// Starts the server in its folder; as it does again after a kill. What was killed may still
    /// have the memory that a new one needs, so it is tried again.
    pub fn serve(&self) {
        for _ in 0..30 {
            let mut watch = self.spawn();
            while watch.try_wait().unwrap().is_none() {
                if self.accepts() {
                    std::thread::spawn(move || watch.wait());
                    return;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        panic!("PostgreSQL does not start on port {}", self.port);
    }

    fn spawn(&self) -> Child {
        let server = tool("postgres");
        let mut watched = Command::new("sh");
        watched.args(["-c", WATCHED, "sh", &std::process::id().to_string()]);
        watched.arg(&self.home);
        watched.arg(server.get_program()).args(server.get_args());
        watched
            .arg("-D")
            .arg(self.data())
            .args(["-p", &self.port.to_string(), "-k", "", "-h", &self.hosts])
            .args(["-c", "max_connections=300", "-c", "log_min_messages=fatal"])
            .current_dir(&self.home)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Whether it takes connections.
    pub fn accepts(&self) -> bool {
        let mut asked = tool("pg_isready");
        asked.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        TcpStream::connect(("127.0.0.1", self.port)).is_ok()
            && asked.status().is_ok_and(|status| status.success())
    }

    fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// Sends a signal to the postmaster and what it started: `-STOP`, `-CONT`, `-KILL`. False where
    /// there is none.
    pub fn signal(&self, name: &str) -> bool {
        let Ok(pid) = std::fs::read_to_string(self.data().join("postmaster.pid")) else {
            return false;
        };
        let pid = pid.lines().next().unwrap_or_default().trim().to_owned();
        let quiet = |command: &mut Command| {
            let sent = command.stderr(Stdio::null()).status();
            sent.is_ok_and(|status| status.success())
        };
        // The postmaster first: it would start others in place of those that die.
        let sent = quiet(Command::new("kill").args([name, &pid]));
        quiet(Command::new("pkill").args([name, "-P", &pid]));
        sent
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://faregate@127.0.0.1:{}/{database}", self.port)
    }

    /// A new database; its address.
    pub async fn database(&self) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("books_{}_{count}", std::process::id());
        let url = self.url("postgres");
        let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
        let text = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::raw_sql(text).execute(&mut connection).await.unwrap();
        self.url(&name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal("-QUIT");
    }
}

fn root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.trim_ascii() == b"0"
}

/// One of PostgreSQL's programs, never run as root.
fn tool(name: &str) -> Command {
    let program = programs().join(name);
    if !root() {
        return Command::new(program);
    }
    let mut lowered = Command::new("setpriv");
    lowered.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    lowered.arg(program);
    lowered
}

/// Where the newest PostgreSQL's programs are: Debian keeps them out of the path.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let newest = versions
        .filter_map(|entry| {
            entry
                .ok()?
                .file_name()
                .into_string()
                .ok()?
                .parse::<u32>()
                .ok()
        })
        .max();
    match newest {
        Some(version) => Path::new("/usr/lib/postgresql")
            .join(version.to_string())
            .join("bin"),
        None => PathBuf::from("/usr/bin"),
    }
}

/// Where a test keeps its books.
pub enum Somewhere {
    Folder(Folder),
    Postgres(String),
}

impl Somewhere {
    pub fn folder(name: &str) -> Self {
        Self::Folder(Folder::fresh(name))
    }

    pub async fn postgres() -> Self {
        Self::Postgres(Server::shared().database().await)
    }

    /// New books of the same kind.
    pub async fn fresh(&self) -> Self {
        match self {
            Self::Folder(_) => Self::folder("fresh"),
            Self::Postgres(_) => Self::postgres().await,
        }
    }

    pub fn place(&self, node: &str) -> Place {
        match self {
            Self::Folder(folder) => Place::Folder(folder.0.clone()),
            Self::Postgres(url) => Place::Postgres {
                url: SecretString::from(url.clone()),
                node: Some(node.to_owned()),
            },
        }
    }

    pub async fn open(&self) -> Store {
        Store::open_at(&self.place("one")).await.unwrap()
    }

    /// Another node on the same books, where there can be one.
    pub async fn another(&self, node: &str) -> Store {
        Store::open_at(&self.place(node)).await.unwrap()
    }
}

/// The same test on both databases: one each in a module of the test's name.
macro_rules! on_both {
    ($($(#[$attribute:meta])* async fn $name:ident($place:ident) $body:block)*) => {$(
        mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            $(#[$attribute])*
            async fn it_holds_on_sqlite() {
                promised(&$crate::postgres::Somewhere::folder(stringify!($name))).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            $(#[$attribute])*
            async fn it_holds_on_postgresql() {
                promised(&$crate::postgres::Somewhere::postgres().await).await;
            }

            async fn promised($place: &$crate::postgres::Somewhere) $body
        }
    )*};
}
pub(crate) use on_both;
