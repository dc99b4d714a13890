//! The proxies, each started with one worker and stopped when it is dropped.

use crate::Outcome;
use crate::backend;
use crate::secured::Pair;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A proxy that runs.
pub struct Proxy {
    child: Child,
    pub address: SocketAddr,
    /// Where it speaks TLS.
    pub secured: SocketAddr,
}

impl Proxy {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Asked first, so that nginx's master ends its worker.
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let _ = self.child.wait();
    }
}

/// A port that is free now.
fn free_port() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

/// Debian's nginx as a plain proxy with kept-alive connections on both sides.
pub fn nginx(folder: &Path, backend: SocketAddr, pair: &Pair) -> Outcome<Proxy> {
    let (address, secured) = (free_port()?, free_port()?);
    let config = format!(
        "worker_processes 1;\ndaemon off;\npid {0}/nginx.pid;\nerror_log {0}/nginx.log warn;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n  access_log off;\n  keepalive_requests 1000000000;\n  server_tokens off;\n\
         \x20 upstream backend {{ server {backend}; keepalive 512; \
         keepalive_requests 1000000000; }}\n\
         \x20 ssl_certificate {1};\n  ssl_certificate_key {2};\n  \
         server {{\n    listen {address};\n    listen {secured} ssl http2;\n    \
         location / {{\n      proxy_pass http://backend;\n\
         \x20     proxy_http_version 1.1;\n      proxy_set_header Connection \"\";\n    }}\n  }}\n}}\n",
        folder.display(),
        pair.chain.display(),
        pair.key.display()
    );
    let path = folder.join("nginx.conf");
    std::fs::write(&path, config)?;
    let mut command = Command::new("nginx");
    command
        .arg("-p")
        .arg(folder)
        .arg("-c")
        .arg(&path)
        .stderr(Stdio::inherit());
    let child = command.spawn().map_err(|fault| {
        format!("nginx: {fault}; install it (Debian: apt-get install nginx-light) and run again")
    })?;
    Ok(Proxy {
        child,
        address,
        secured,
    })
}

/// Debian's HAProxy as a plain proxy with kept-alive connections on both sides.
pub fn haproxy(folder: &Path, backend: SocketAddr, pair: &Pair) -> Outcome<Proxy> {
    let (address, secured) = (free_port()?, free_port()?);
    let config = format!(
        "global\n  nbthread 1\n  maxconn 4096\ndefaults\n  mode http\n  timeout connect 5s\n\
         \x20 timeout client 300s\n  timeout server 300s\n  http-reuse always\n\
         frontend f\n  bind {address}\n  bind {secured} ssl crt {} alpn h2,http/1.1\n\
         \x20 default_backend b\n\
         backend b\n  server s {backend}\n",
        pair.both.display()
    );
    let path = folder.join("haproxy.cfg");
    std::fs::write(&path, config)?;
    let mut command = Command::new("haproxy");
    command
        .arg("-db")
        .arg("-f")
        .arg(&path)
        .stdout(Stdio::null());
    let child = command.spawn().map_err(|fault| {
        format!("haproxy: {fault}; install it (Debian: apt-get install haproxy) and run again")
    })?;
    Ok(Proxy {
        child,
        address,
        secured,
    })
}

/// The bench's customer, beside the policies that the project ships as examples.
const CUSTOMER: &str = r#"
[rest]
payer = "refuse"

[[customer]]
id = "bench"
name = "Bench"
address = ["1 Sample Street", "10115 Berlin", "DE"]
seller = "house"
mode = "prepaid"
tax = "domestic"
book = "standard"
prepaid = "standard"
owns = [{ domain = "{domain}" }]
"#;

fn copy_policies(to: &Path) -> std::io::Result<()> {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    for kind in ["sellers", "prepaid", "tariffs"] {
        std::fs::create_dir_all(to.join(kind))?;
        for file in std::fs::read_dir(from.join(kind))? {
            let file = file?;
            // A reseller needs a wallet at his supplier, and nobody here buys from one.
            if file.file_name() == "reseller.toml" {
                continue;
            }
            std::fs::copy(file.path(), to.join(kind).join(file.file_name()))?;
        }
    }
    std::fs::create_dir_all(to.join("customers"))?;
    let customer = CUSTOMER.replace("{domain}", backend::DOMAIN);
    std::fs::write(to.join("customers/bench.toml"), customer)
}

/// Money for every deploy of the bench, through the operators' socket.
pub fn top_up(config: &Path) -> Outcome<()> {
    let done = Command::new(env!("CARGO_BIN_EXE_faregate"))
        .args([
            "top-up",
            "--payer",
            "bench",
            "--amount",
            "1000000000",
            "--id",
            "bench",
        ])
        .arg("--config")
        .arg(config)
        .stdout(Stdio::null())
        .status()?;
    if done.success() {
        Ok(())
    } else {
        Err("the bench's customer could not be credited".into())
    }
}

/// The gate with one prepaid customer, eight domains down.
pub fn gate(folder: &Path, backend: SocketAddr, pair: &Pair) -> Outcome<(Proxy, PathBuf)> {
    let (address, secured, ops) = (free_port()?, free_port()?, free_port()?);
    let config = format!(
        "[listen]\ngate = \"{address}\"\nops = \"{ops}\"\nthreads = 1\n\n[listen.tls]\n\
         gate = \"{secured}\"\n\
         certificates = [{{ chain_file = \"{}\", key_file = \"{}\" }}]\n\n[upstream]\n\
         url = \"http://{backend}/client/api\"\nreader_key = \"bench\"\n\
         reader_secret_file = \"reader.secret\"\n",
        pair.chain.display(),
        pair.key.display()
    );
    let gate = folder.join("gate");
    let init = Command::new(env!("CARGO_BIN_EXE_faregate"))
        .arg("init")
        .arg(&gate)
        .stdout(Stdio::null())
        .status()?;
    if !init.success() {
        return Err("faregate init failed".into());
    }
    std::fs::write(gate.join("reader.secret"), "bench\n")?;
    let policies = gate.join("policies");
    let _ = std::fs::remove_dir_all(&policies);
    copy_policies(&policies)?;
    let path = gate.join("faregate.toml");
    std::fs::write(&path, config)?;
    std::fs::create_dir_all(gate.join("state"))?;
    let line = std::env::var("BENCH_GATE").unwrap_or_else(|_| {
        format!(
            "{} serve --config {{config}}",
            env!("CARGO_BIN_EXE_faregate")
        )
    });
    let line = line.replace("{config}", &path.to_string_lossy());
    let mut words = line.split_whitespace();
    let program = words.next().ok_or("BENCH_GATE is empty")?;
    let child = Command::new(program)
        .args(words)
        .env("RUST_LOG", "error")
        .stdout(Stdio::null())
        .spawn()
        .map_err(|fault| format!("{program}: {fault}"))?;
    let proxy = Proxy {
        child,
        address,
        secured,
    };
    Ok((proxy, path))
}

/// Puts a process, with all its threads, on one core where there are two; says whether it did.
pub fn pin(pid: u32, core: usize) -> bool {
    let many = std::thread::available_parallelism().map_or(1, usize::from) > 1;
    let set = |program: &mut Command| program.output().is_ok_and(|it| it.status.success());
    let (core, pid) = (core.to_string(), pid.to_string());
    many && set(Command::new("taskset").args(["-a", "-p", "-c", &core, &pid]))
}
