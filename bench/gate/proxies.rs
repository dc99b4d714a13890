//! The two proxies, each started with one worker and stopped when it is dropped.

use crate::Outcome;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A proxy that runs.
pub struct Proxy {
    child: Child,
    pub address: SocketAddr,
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
pub fn nginx(folder: &Path, backend: SocketAddr) -> Outcome<Proxy> {
    let address = free_port()?;
    let config = format!(
        "worker_processes 1;\ndaemon off;\npid {0}/nginx.pid;\nerror_log {0}/nginx.log warn;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n  access_log off;\n  keepalive_requests 1000000000;\n  server_tokens off;\n\
         \x20 upstream backend {{ server {backend}; keepalive 512; \
         keepalive_requests 1000000000; }}\n\
         \x20 server {{\n    listen {address};\n    \
         location / {{\n      proxy_pass http://backend;\n\
         \x20     proxy_http_version 1.1;\n      proxy_set_header Connection \"\";\n    }}\n  }}\n}}\n",
        folder.display()
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
    Ok(Proxy { child, address })
}

/// The gate, with no customers: a read call needs none.
pub fn gate(folder: &Path, backend: SocketAddr) -> Outcome<Proxy> {
    let (address, ops) = (free_port()?, free_port()?);
    let config = format!(
        "[listen]\ngate = \"{address}\"\nops = \"{ops}\"\nthreads = 1\n\n[upstream]\n\
         url = \"http://{backend}/client/api\"\nreader_key = \"bench\"\n\
         reader_secret_file = \"reader.secret\"\n\n[paths]\npolicies = \"{}/policies\"\n",
        env!("CARGO_MANIFEST_DIR")
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
    Ok(Proxy { child, address })
}

/// Puts a process, with all its threads, on one core where there are two; says whether it did.
pub fn pin(pid: u32, core: usize) -> bool {
    let many = std::thread::available_parallelism().map_or(1, usize::from) > 1;
    let set = |program: &mut Command| program.output().is_ok_and(|it| it.status.success());
    let (core, pid) = (core.to_string(), pid.to_string());
    many && set(Command::new("taskset").args(["-a", "-p", "-c", &core, &pid]))
}
