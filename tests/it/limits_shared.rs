//! Counting together through a real Redis, and what becomes of it when that goes away.

use crate::stage::{Stage, address_of, exchange, until};
use faregate::counters::{Counters, Shared};
use faregate::policy::limits::{CallLimit, Counted, Pace, Per};
use faregate::terms::time::HOUR;
use secrecy::SecretString;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// A Redis of the test's own, without a disk.
pub struct Redis {
    port: u16,
    server: Child,
}

impl Redis {
    pub fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        Self {
            port,
            server: Self::serve(port),
        }
    }

    fn serve(port: u16) -> Child {
        let server = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed by tests/run");
        until("Redis listens", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        server
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    pub fn signal(&self, name: &str) {
        let pid = self.server.id().to_string();
        let sent = Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(sent.success());
    }

    pub fn kill(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }

    /// Starts it again, with nothing in it.
    pub fn serve_again(&mut self) {
        self.server = Self::serve(self.port);
    }

    pub fn flush(&self) {
        self.tell("FLUSHALL");
    }

    /// Gives a command that it obeys.
    fn tell(&self, command: &str) {
        use std::io::{Read, Write};
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream
            .write_all(format!("{command}\r\n").as_bytes())
            .unwrap();
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"+OK\r\n");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn limit(id: &str, calls: u32) -> CallLimit {
    CallLimit {
        id: id.to_owned(),
        per: Per::Account,
        of: None,
        commands: Vec::new(),
        class: None,
        pace: Pace {
            calls,
            period: HOUR,
            burst: calls,
        },
        reason: "agreed".to_owned(),
    }
}

/// One of two nodes. The sender stops it.
fn node(redis: &Redis) -> (Arc<Counters>, watch::Sender<bool>) {
    let shared = Shared::new(&SecretString::from(redis.url())).unwrap();
    let counters = Arc::new(Counters::new(2, Some(Arc::new(shared))));
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(counters.clone().run(stopped));
    (counters, stop)
}

async fn is_up(node: &Counters, up: bool) {
    for _ in 0..600 {
        if node.health().unwrap().up == up {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("not within a minute: shared counting is up: {up}");
}

async fn granted(node: &Counters, limit: &CallLimit, calls: usize) -> usize {
    let mut granted = 0;
    for _ in 0..calls {
        let counted = [Counted {
            limit,
            subject: "ann".to_owned(),
        }];
        granted += usize::from(node.count(&counted).await.is_ok());
    }
    granted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_grant_what_one_would_and_each_its_share_while_redis_is_away() {
    let mut redis = Redis::start();
    let ((one, _stop_one), (two, _stop_two)) = (node(&redis), node(&redis));
    is_up(&one, true).await;
    is_up(&two, true).await;
    let together = limit("together", 20);
    let first = granted(&one, &together, 15).await;
    assert_eq!(first + granted(&two, &together, 15).await, 20);

    // Stopped, not dead: it accepts and never answers. The first call waits 50 ms, the rest none.
    redis.signal("-STOP");
    let stopped = limit("stopped", 20);
    assert_eq!(granted(&one, &stopped, 40).await, 10);
    assert_eq!(granted(&two, &stopped, 40).await, 10);
    let health = one.health().unwrap();
    assert_eq!((health.up, health.losses), (false, 1), "{health:?}");
    redis.signal("-CONT");
    is_up(&one, true).await;
    is_up(&two, true).await;
    assert_eq!(granted(&one, &together, 5).await, 0, "it has forgotten");

    // Emptied: the buckets start anew, and so does the script.
    redis.flush();
    let first = granted(&one, &together, 15).await;
    assert_eq!(first + granted(&two, &together, 15).await, 20);

    // Dead, and back with nothing in it.
    redis.kill();
    let dead = limit("dead", 20);
    assert_eq!(granted(&one, &dead, 40).await, 10);
    assert_eq!(granted(&two, &dead, 40).await, 10);
    redis.serve_again();
    is_up(&one, true).await;
    is_up(&two, true).await;
    let first = granted(&two, &together, 15).await;
    assert_eq!(first + granted(&one, &together, 15).await, 20);
}

/// Full, a replica of a master that is gone, or another password: an error is no count.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_full_or_read_only_or_closed_to_us_is_as_one_that_is_away() {
    let redis = Redis::start();
    let (one, _stop) = node(&redis);
    is_up(&one, true).await;
    let spoilt = [
        ("full", "CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
        ("read-only", "REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
    ];
    for (name, spoil, mend) in spoilt {
        redis.tell(spoil);
        assert_eq!(granted(&one, &limit(name, 20), 40).await, 10, "{name}");
        assert!(one.health().unwrap().alone >= 40, "{name}");
        redis.tell(mend);
        is_up(&one, true).await;
        let again = format!("{name}-mended");
        assert_eq!(granted(&one, &limit(&again, 20), 40).await, 20, "{name}");
    }
    let url = format!("redis://:wrong@127.0.0.1:{}/0", redis.port);
    let shared = Shared::new(&SecretString::from(url)).unwrap();
    let closed = Arc::new(Counters::new(2, Some(Arc::new(shared))));
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(closed.clone().run(stopped));
    assert_eq!(granted(&closed, &limit("closed", 20), 40).await, 10);
    assert!(!closed.health().unwrap().up);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_over_one_of_its_limits_counts_against_none_of_them() {
    let redis = Redis::start();
    let (node, _stop) = node(&redis);
    is_up(&node, true).await;
    let (wide, narrow) = (limit("wide", 10), limit("narrow", 1));
    let subject = || "ann".to_owned();
    for round in 0..5 {
        let counted = [
            Counted {
                limit: &wide,
                subject: subject(),
            },
            Counted {
                limit: &narrow,
                subject: subject(),
            },
        ];
        let told = node.count(&counted).await;
        match round {
            0 => assert!(told.is_ok()),
            _ => {
                let no = told.unwrap_err();
                assert_eq!(no.rule, "narrow");
                assert!(no.wait > HOUR / 2 && no.wait <= HOUR, "{no:?}");
            }
        }
    }
    assert_eq!(granted(&node, &wide, 20).await, 9);
}

#[test]
fn a_gate_whose_redis_dies_limits_by_itself_and_serves_as_before() {
    let mut redis = Redis::start();
    let url = redis.url();
    let environment = [("FAREGATE_REDIS_URL", url.as_str())];
    let mut stage = Stage::start_in("limits-redis", &[], &environment);
    let policy = "[[limit]]\nid = \"zones\"\nper = \"account\"\ncommands = [\"listzones\"]\n\
                  calls = 4\nperiod = \"1h\"\nreason = \"agreed\"\n";
    stage.with_policy("calls.toml", policy);
    let paula = stage.customer(0);
    // The gate starts without waiting for Redis.
    shared(&stage, "1");
    let zones = || paula.call("listZones", &[]).unwrap().status;
    assert_eq!([0; 5].map(|_| zones()), [200, 200, 200, 200, 429]);

    redis.kill();
    // One node of one: its share is the whole. Money is not asked of Redis at all.
    assert_eq!([0; 5].map(|_| zones()), [200, 200, 200, 200, 429]);
    let vm = stage.small_vm(0);
    assert_eq!(paula.deploy(&vm).unwrap().status, 200);
    until("it runs", || stage.machines("Running").len() == 1);
    shared(&stage, "0");
    redis.serve_again();
    shared(&stage, "1");
    assert_eq!([0; 5].map(|_| zones()), [200, 200, 200, 200, 429]);
}

/// Waits until the gate's metrics say that calls are counted together, or alone.
fn shared(stage: &Stage, up: &str) {
    let address = address_of(&stage.text("/operator_page"));
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let wanted = format!("faregate_counting_shared {up}\n");
    until("calls are counted as expected", || {
        let heard = exchange(&address, &request).unwrap();
        heard.body.contains(&wanted)
    });
}
