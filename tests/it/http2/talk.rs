//! One connection of a client that speaks HTTP/2 by hand: it writes what it is told, and keeps
//! what it hears.

use super::case::{Case, Step, Want};
use super::wire::{self, ACK, MARK, PREFACE};
use crate::served::{MODERN, shake};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::client::TlsStream;

/// How long anything that must come may take.
const WAIT_MAX: Duration = Duration::from_secs(8);
/// A server may not send a longer frame unasked (RFC 9113 §4.2).
const FRAME_MAX: usize = 16_384;

/// What came until now.
#[derive(Default, Debug)]
pub struct Heard {
    pub frames: usize,
    pub first: Option<u8>,
    pub acks: usize,
    pub pongs: Vec<[u8; 8]>,
    pub statuses: BTreeMap<u32, u16>,
    pub data: BTreeMap<u32, usize>,
    pub ended: BTreeSet<u32>,
    pub resets: BTreeMap<u32, u32>,
    pub goaway: Option<u32>,
    pub closed: bool,
}

pub struct Talk {
    stream: TlsStream<tokio::net::TcpStream>,
    buffer: Vec<u8>,
    pub heard: Heard,
    mark: String,
}

impl Talk {
    pub async fn begin(address: &str, trusted: &Path, number: usize) -> Self {
        let stream = shake(address, trusted, &MODERN).await.unwrap();
        Self {
            stream,
            buffer: Vec::new(),
            heard: Heard::default(),
            mark: format!("case={number:04}"),
        }
    }

    /// Preface and settings both ways, so that what comes later is the case's.
    async fn settle(&mut self) -> Result<(), String> {
        self.send(&[PREFACE, &wire::settings(&[])].concat()).await;
        let settled = |heard: &Heard| heard.first == Some(wire::SETTINGS) && heard.acks == 1;
        self.until("settings and their ACK", settled).await?;
        self.send(&wire::frame(wire::SETTINGS, ACK, 0, &[])).await;
        Ok(())
    }

    /// A server that has ended the connection may have closed it: what it did is read later.
    async fn send(&mut self, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        let places = bytes.windows(MARK.len()).enumerate();
        let places = places.filter(|(_, window)| *window == MARK.as_bytes());
        let places: Vec<usize> = places.map(|(place, _)| place).collect();
        for place in places {
            bytes[place..place + MARK.len()].copy_from_slice(self.mark.as_bytes());
        }
        if self.stream.write_all(&bytes).await.is_ok() {
            let _ = self.stream.flush().await;
        }
    }

    /// Reads until it is so.
    async fn until(&mut self, what: &str, so: impl Fn(&Heard) -> bool) -> Result<(), String> {
        let read = async {
            while !so(&self.heard) {
                if self.heard.closed {
                    return false;
                }
                self.read().await;
            }
            true
        };
        match tokio::time::timeout(WAIT_MAX, read).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(format!("closed before {what}: {:?}", self.heard)),
            Err(_) => Err(format!("no {what} in time: {:?}", self.heard)),
        }
    }

    async fn read(&mut self) {
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) | Err(_) => self.heard.closed = true,
            Ok(_) => {}
        }
        while self.buffer.len() >= 9 {
            let head = &self.buffer[..9];
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            assert!(length <= FRAME_MAX, "a frame of {length} bytes");
            if self.buffer.len() < 9 + length {
                return;
            }
            let (kind, flags) = (head[3], head[4]);
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let payload: Vec<u8> = self.buffer[9..9 + length].to_vec();
            self.buffer.drain(..9 + length);
            self.heard.take(kind, flags, stream, &payload);
        }
    }

    /// All that a case does and wants.
    pub async fn play(&mut self, case: &Case) -> Result<(), String> {
        if !case.raw {
            self.settle().await?;
        }
        for step in &case.steps {
            self.step(step).await?;
        }
        match &case.want {
            Want::Answered(stream) => {
                self.step(&Step::Answer(*stream)).await?;
                self.step(&Step::Alive).await
            }
            Want::Steps => Ok(()),
            Want::Connection(codes) => self.connection_error(codes).await,
            Want::Stream(stream, codes) => self.stream_error(*stream, codes, false).await,
            Want::Malformed(stream) => self.stream_error(*stream, &[1], true).await,
            Want::AnsweredOr(stream, codes) => {
                let stream = *stream;
                let settled = move |heard: &Heard| {
                    heard.ended.contains(&stream) || heard.fault(Some(stream)).is_some()
                };
                let _ = self.until("an answer or an error", settled).await;
                if self.heard.ended.contains(&stream) {
                    return self.step(&Step::Answer(stream)).await;
                }
                self.stream_error(stream, codes, false).await
            }
        }
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Send(bytes) => {
                self.send(bytes).await;
                Ok(())
            }
            Step::Answer(stream) => {
                let done = |heard: &Heard| heard.ended.contains(stream);
                self.until("answer", done).await?;
                match self.heard.statuses.get(stream) {
                    Some(200) => Ok(()),
                    other => Err(format!("answered {other:?}")),
                }
            }
            Step::Acks(count) => self.until("ACK", |heard| heard.acks >= *count).await,
            Step::Pong(opaque) => {
                let there = |heard: &Heard| heard.pongs.contains(opaque);
                self.until("ACK of the ping", there).await
            }
            Step::Alive => {
                let opaque = *b"liveness";
                self.send(&wire::ping(0, opaque)).await;
                self.until("life", |heard| heard.pongs.contains(&opaque))
                    .await?;
                match self.heard.goaway {
                    None => Ok(()),
                    Some(code) => Err(format!("GOAWAY {code}")),
                }
            }
            Step::Data(stream, bytes) => {
                let there = |heard: &Heard| heard.data.get(stream).copied().unwrap_or(0) >= *bytes;
                self.until("data", there).await?;
                self.no_more(*stream, *bytes).await
            }
            Step::NoData(stream) => {
                self.until("head", |heard| heard.statuses.get(stream) == Some(&200))
                    .await?;
                self.no_more(*stream, 0).await
            }
            Step::NoPong(opaque) => {
                Box::pin(self.step(&Step::Alive)).await?;
                match self.heard.pongs.contains(opaque) {
                    false => Ok(()),
                    true => Err("an ACK was answered".to_owned()),
                }
            }
        }
    }

    /// Two rounds later there still is no more data than that.
    async fn no_more(&mut self, stream: u32, bytes: usize) -> Result<(), String> {
        for round in [1, 2] {
            self.send(&wire::ping(0, [round; 8])).await;
            let there = |heard: &Heard| heard.pongs.contains(&[round; 8]);
            self.until("ACK of the ping", there).await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        match self.heard.data.get(&stream).copied().unwrap_or(0) {
            got if got == bytes => Ok(()),
            got => Err(format!("{got} bytes for a window of {bytes}")),
        }
    }

    /// GOAWAY with one of these codes, or the end of the connection.
    async fn connection_error(&mut self, codes: &[u32]) -> Result<(), String> {
        let over = |heard: &Heard| heard.fault(None).is_some();
        self.until("connection error", over).await?;
        match self.heard.goaway {
            Some(code) if !codes.contains(&code) => Err(format!("GOAWAY {code}")),
            Some(_) => self.until("close", |heard| heard.closed).await,
            None => Ok(()),
        }
    }

    /// RST_STREAM or GOAWAY with one of these codes, or the end of the connection; an answer to
    /// what is malformed may also be a refusal (RFC 9113 §8.1.1).
    async fn stream_error(&mut self, id: u32, codes: &[u32], told: bool) -> Result<(), String> {
        let refused = |heard: &Heard| {
            let status = heard.statuses.get(&id);
            told && status.is_some_and(|status| (400..500).contains(status))
        };
        let over = |heard: &Heard| heard.fault(Some(id)).is_some() || refused(heard);
        self.until("stream error", over).await?;
        if told && self.heard.statuses.get(&id) == Some(&200) {
            return Err("answered".to_owned());
        }
        if refused(&self.heard) {
            return Ok(());
        }
        let code = self.heard.resets.get(&id).copied().or(self.heard.goaway);
        match code {
            Some(code) if !codes.contains(&code) => Err(format!("code {code}")),
            _ => Ok(()),
        }
    }
}

impl Heard {
    /// Whether the connection, or that stream, is over by a fault.
    fn fault(&self, stream: Option<u32>) -> Option<()> {
        let reset = stream.is_some_and(|stream| self.resets.contains_key(&stream));
        (reset || self.goaway.is_some() || self.closed).then_some(())
    }

    fn take(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.frames += 1;
        self.first.get_or_insert(kind);
        let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
        match kind {
            wire::SETTINGS if flags & ACK == ACK => self.acks += 1,
            wire::PING if flags & ACK == ACK => self.pongs.push(payload.try_into().unwrap()),
            wire::HEADERS => {
                self.statuses.insert(stream, status(payload));
            }
            wire::DATA => *self.data.entry(stream).or_default() += payload.len(),
            wire::RESET => {
                self.resets.insert(stream, number(payload));
            }
            wire::GOAWAY => self.goaway = Some(number(&payload[4..8])),
            _ => {}
        }
        if matches!(kind, wire::DATA | wire::HEADERS) && flags & 1 == 1 {
            self.ended.insert(stream);
        }
    }
}

/// The status that a block begins with: by index, or as a literal (RFC 7541 appendix A).
fn status(block: &[u8]) -> u16 {
    let sized = |byte: &&u8| **byte & 0xe0 == 0x20;
    let updates = block.iter().take_while(sized).count();
    let block = &block[updates..];
    match block {
        [index @ 0x88..=0x8e, ..] => {
            [200, 204, 206, 304, 400, 404, 500][usize::from(*index - 0x88)]
        }
        [0x48 | 0x08 | 0x18, length, rest @ ..] if length & 0x80 == 0x80 => {
            digits(&rest[..usize::from(length & 0x7f)])
        }
        [0x48 | 0x08 | 0x18, 3, rest @ ..] => rest[..3]
            .iter()
            .fold(0, |n, digit| 10 * n + u16::from(digit - b'0')),
        _ => 0,
    }
}

/// Three digits in Huffman code.
fn digits(bits: &[u8]) -> u16 {
    (100..600)
        .find(|status: &u16| wire::huffman_bits(&status.to_string()) == bits)
        .unwrap_or(0)
}
