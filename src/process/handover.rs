//! Edge: listening sockets go from a node to the one that replaces it, over a socket in the state
//! folder. No call is refused meanwhile, and only one of the two ever writes the books.
//!
//! The new node says `take over 1`; the old one offers its addresses; the new one binds what is
//! missing and says `go`. The old one stops accepting, lets open calls end, closes the books, and
//! sends `ready` with the sockets; the new one says `taken`. Connections that come meanwhile wait
//! in the sockets' queues. Where open calls do not end in time, the old one says why and goes on.

use super::sockets::{Role, Sockets};
use crate::config::{Config, Listen};
use anyhow::{Context, bail};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

/// What a new node says first; the number is of this way of talking.
const ASKS: &str = "take over 1";
const GOES: &str = "go";
const READY: &str = "ready";
const TAKEN: &str = "taken";
/// How long the other side may take for a word.
const WORD_MAX: Duration = Duration::from_secs(10);
/// How long the old node may take to end its calls and close the books.
const END_MAX: Duration = Duration::from_secs(120);
/// Bytes of one line.
const LINE_BYTES_MAX: usize = 16 * 1024;
/// Sockets in one message; the system bounds it at 253.
const SOCKETS_AT_ONCE: usize = 64;

/// A new node that asked for the sockets and waits.
pub struct Successor(UnixStream);

/// The socket that a new node asks at.
pub struct Post {
    listener: UnixListener,
    path: PathBuf,
}

fn path(config: &Config) -> PathBuf {
    config.store.join("handover.sock")
}

impl Post {
    /// Listens in the state folder, for the same user alone.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(config: &Config) -> std::io::Result<Self> {
        let path = path(config);
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path })
    }

    /// Waits for a new node that has said that it goes.
    pub async fn successor(&self, sockets: &Sockets) -> Successor {
        loop {
            let met = async {
                let (stream, _) = self.listener.accept().await?;
                greet(stream, sockets).await
            };
            match met.await {
                Ok(successor) => return successor,
                Err(fault) => {
                    tracing::warn!(verb = "hand over", %fault, "a new node was not served");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn greet(mut stream: tokio::net::UnixStream, sockets: &Sockets) -> anyhow::Result<Successor> {
    let own = rustix::process::geteuid().as_raw();
    let theirs = stream.peer_cred()?.uid();
    if theirs != own && theirs != 0 {
        bail!("user {theirs} may not take over from user {own}");
    }
    let asked = tokio::time::timeout(WORD_MAX, line(&mut stream)).await??;
    if asked != ASKS {
        stream
            .write_all(b"no: another version asks; stop this node and start the new one\n")
            .await?;
        bail!("it said `{}`", asked.escape_debug());
    }
    let mut offer = String::new();
    for (role, address) in sockets.offer() {
        offer.push_str(&format!("{} {address}\n", role.word()));
    }
    offer.push('\n');
    stream.write_all(offer.as_bytes()).await?;
    let goes = tokio::time::timeout(WORD_MAX, line(&mut stream)).await??;
    if goes != GOES {
        bail!("it did not go on");
    }
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(WORD_MAX))?;
    stream.set_write_timeout(Some(WORD_MAX))?;
    Ok(Successor(stream))
}

async fn line(stream: &mut tokio::net::UnixStream) -> anyhow::Result<String> {
    let mut read = Vec::new();
    loop {
        match stream.read_u8().await? {
            b'\n' => return Ok(String::from_utf8(read)?),
            byte if read.len() < LINE_BYTES_MAX => read.push(byte),
            _ => bail!("a line without an end"),
        }
    }
}

impl Successor {
    /// Says why the sockets stay where they are.
    pub fn refuse(mut self, why: &str) {
        let _ = self.0.write_all(format!("no: {why}\n").as_bytes());
    }

    /// Sends every socket, and waits until the new node has them. Blocks.
    ///
    /// # Errors
    /// What the system says; the sockets are then nobody's but ours.
    pub fn send(mut self, sockets: &Sockets) -> anyhow::Result<()> {
        let all: Vec<BorrowedFd<'_>> = sockets.all().iter().map(|one| one.1.as_fd()).collect();
        self.0.write_all(format!("{READY}\n").as_bytes())?;
        for some in all.chunks(SOCKETS_AT_ONCE) {
            let mut space =
                [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_AT_ONCE))];
            let mut rights = SendAncillaryBuffer::new(&mut space);
            if !rights.push(SendAncillaryMessage::ScmRights(some)) {
                bail!("the sockets do not fit into a message");
            }
            let byte = [IoSlice::new(b"s")];
            rustix::net::sendmsg(&self.0, &byte, &mut rights, SendFlags::NOSIGNAL)?;
        }
        match read_line(&mut self.0)?.as_str() {
            TAKEN => Ok(()),
            other => bail!("the new node said `{}`", other.escape_debug()),
        }
    }
}

/// Asks the node that runs with this state folder for its sockets. None where none runs. Blocks
/// until that node has ended its calls and closed the books.
///
/// # Errors
/// What the other node says, or an address that cannot be listened on.
pub fn take_over(config: &Config) -> anyhow::Result<Option<Sockets>> {
    let Ok(mut stream) = UnixStream::connect(path(config)) else {
        return Ok(None);
    };
    stream.set_read_timeout(Some(END_MAX))?;
    stream.set_write_timeout(Some(WORD_MAX))?;
    stream.write_all(format!("{ASKS}\n").as_bytes())?;
    let offered = offer(&mut stream).context("the running node offers nothing")?;
    let mut sockets = Sockets::bind_missing(&config.listen, &offered)?;
    stream.write_all(format!("{GOES}\n").as_bytes())?;
    match read_line(&mut stream)?.as_str() {
        READY => {}
        other => bail!(
            "the running node goes on: {}",
            other.trim_start_matches("no: ")
        ),
    }
    let given = receive(&stream, &offered, &config.listen)?;
    stream.write_all(format!("{TAKEN}\n").as_bytes())?;
    sockets.take(&config.listen, given);
    Ok(Some(sockets))
}

fn offer(stream: &mut UnixStream) -> anyhow::Result<Vec<(Role, SocketAddr)>> {
    let mut offered = Vec::new();
    loop {
        let line = read_line(stream)?;
        if line.is_empty() {
            return Ok(offered);
        }
        let (role, address) = line.split_once(' ').context(line.clone())?;
        let role = Role::of_word(role).context(line.clone())?;
        offered.push((role, address.parse()?));
    }
}

fn receive(
    stream: &UnixStream,
    offered: &[(Role, SocketAddr)],
    listen: &Listen,
) -> anyhow::Result<Vec<(Role, TcpListener)>> {
    let mut given: Vec<OwnedFd> = Vec::new();
    while given.len() < offered.len() {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_AT_ONCE))];
        let mut rights = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0_u8; 1];
        let mut into = [IoSliceMut::new(&mut byte)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let message = rustix::net::recvmsg(stream, &mut into, &mut rights, flags)?;
        if message.bytes == 0 {
            bail!("the running node ended before it gave all its sockets");
        }
        for message in rights.drain() {
            if let RecvAncillaryMessage::ScmRights(sockets) = message {
                given.extend(sockets);
            }
        }
    }
    let shared = listen.threads > 1;
    tracing::info!(
        verb = "take over",
        sockets = given.len(),
        shared,
        "sockets are here"
    );
    let roles = offered.iter().map(|one| one.0);
    Ok(roles
        .zip(given.into_iter().map(TcpListener::from))
        .collect())
}

fn read_line(stream: &mut UnixStream) -> anyhow::Result<String> {
    let mut read = Vec::new();
    let mut byte = [0_u8; 1];
    loop {
        stream
            .read_exact(&mut byte)
            .context("the other node is gone")?;
        match byte {
            [b'\n'] => return Ok(String::from_utf8(read)?),
            [byte] if read.len() < LINE_BYTES_MAX => read.push(byte),
            _ => bail!("a line without an end"),
        }
    }
}

/// The mark that a node runs with a state folder; it goes with the process, however that ends.
#[derive(Debug)]
pub struct Mark(#[allow(dead_code, reason = "held for its lock")] std::fs::File);

impl Mark {
    /// Marks the folder.
    ///
    /// # Errors
    /// Where another node has marked it.
    pub fn set(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("serve.lock");
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("{} cannot be made", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(std::fs::TryLockError::WouldBlock) => bail!(
                "another node runs with {}; stop it, or start with --take-over",
                folder.display()
            ),
            Err(std::fs::TryLockError::Error(fault)) => {
                Err(fault).with_context(|| format!("{} cannot be locked", path.display()))
            }
        }
    }
}
