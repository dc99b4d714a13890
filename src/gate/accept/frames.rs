//! Pure: counts the HTTP/2 frames of a client that cost us work and give us none.
//!
//! Reads frame headers alone (RFC 9113 §4.1) as the bytes pass; what they mean is the HTTP/2
//! library's business. A client that sends pings, settings, resets, empty data or continuations
//! far faster than any use of the protocol needs is cut off, whatever the library makes of them.

/// Such frames a client may send at once.
const FRAMES_AT_ONCE: u32 = 1_000;
/// Such frames that a client regains per second.
const FRAMES_PER_SECOND: u32 = 200;
/// Bytes that we send for which a client may widen its window once.
const BYTES_PER_WIDENING: u32 = 512;
/// Bytes of a frame's header.
const HEADER_BYTES: usize = 9;
/// The preface that begins a connection (RFC 9113 §3.4).
const PREFACE_BYTES: usize = 24;

/// The frames of one connection.
#[derive(Clone, Debug)]
pub struct Frames {
    header: [u8; HEADER_BYTES],
    header_bytes: usize,
    skip: usize,
    left: u32,
    widenings: u32,
    sent_bytes: u32,
    second: u64,
}

/// The client sent more such frames than it may.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the client floods the connection with HTTP/2 frames of type {0:#04x}")]
pub struct Flood(pub u8);

impl Default for Frames {
    fn default() -> Self {
        Self {
            header: [0; HEADER_BYTES],
            header_bytes: 0,
            skip: PREFACE_BYTES,
            left: FRAMES_AT_ONCE,
            widenings: FRAMES_AT_ONCE,
            sent_bytes: 0,
            second: 0,
        }
    }
}

impl Frames {
    /// Takes note of bytes that the client sent in the given second of the connection's life.
    ///
    /// # Errors
    /// [`Flood`], once the client has sent too much of a kind.
    pub fn received(&mut self, mut bytes: &[u8], second: u64) -> Result<(), Flood> {
        if second > self.second {
            let passed = u32::try_from(second.saturating_sub(self.second)).unwrap_or(u32::MAX);
            let regained = passed.saturating_mul(FRAMES_PER_SECOND);
            self.left = self.left.saturating_add(regained).min(FRAMES_AT_ONCE);
            self.second = second;
        }
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip = self.skip.saturating_sub(skipped);
            bytes = bytes.get(skipped..).unwrap_or_default();
            let Some((first, rest)) = bytes.split_first() else {
                break;
            };
            if let Some(place) = self.header.get_mut(self.header_bytes) {
                *place = *first;
            }
            self.header_bytes = self.header_bytes.saturating_add(1);
            bytes = rest;
            if self.header_bytes == HEADER_BYTES {
                self.header_bytes = 0;
                self.frame()?;
            }
        }
        Ok(())
    }

    /// Takes note of bytes that we sent: a client answers data by widening its windows.
    pub fn sent(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let bytes = self.sent_bytes.saturating_add(bytes);
        let widenings = bytes / BYTES_PER_WIDENING;
        self.sent_bytes = bytes % BYTES_PER_WIDENING;
        self.widenings = self.widenings.saturating_add(widenings);
    }

    fn frame(&mut self) -> Result<(), Flood> {
        let [a, b, c, kind, flags, ..] = self.header;
        let length = u32::from_be_bytes([0, a, b, c]);
        self.skip = usize::try_from(length).unwrap_or(usize::MAX);
        let ends_stream = flags & 1 == 1;
        let budget = match kind {
            // HEADERS, and DATA that carries something or ends a stream: the use of it.
            0x1 => return Ok(()),
            0x0 if length > 0 || ends_stream => return Ok(()),
            // WINDOW_UPDATE.
            0x8 => &mut self.widenings,
            _ => &mut self.left,
        };
        *budget = budget.checked_sub(1).ok_or(Flood(kind))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        let mut bytes = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        bytes.resize(HEADER_BYTES + payload, 0xff);
        bytes
    }

    fn feed(frames: &mut Frames, frame: &[u8], times: usize, second: u64) -> Result<(), Flood> {
        (0..times).try_for_each(|_| frames.received(frame, second))
    }

    #[test]
    fn each_kind_of_idle_frame_runs_out_and_comes_back() {
        for (kind, payload) in [(0, 0), (2, 5), (3, 4), (4, 0), (6, 8), (9, 10), (0x0f, 1)] {
            let mut frames = Frames::default();
            frames.received(&[0; PREFACE_BYTES], 0).unwrap();
            let frame = frame(kind, 0, payload);
            assert_eq!(feed(&mut frames, &frame, 1_000, 0), Ok(()));
            // A flood ends the connection: what comes after it is another one's.
            assert_eq!(feed(&mut frames.clone(), &frame, 1, 0), Err(Flood(kind)));
            assert_eq!(feed(&mut frames, &frame, 200, 1), Ok(()));
            assert_eq!(feed(&mut frames, &frame, 1, 1), Err(Flood(kind)));
        }
    }

    #[test]
    fn requests_data_and_windows_for_what_we_sent_are_free_in_any_cut() {
        let mut frames = Frames::default();
        let mut bytes = vec![0; PREFACE_BYTES];
        for _ in 0..2_000 {
            bytes.extend(frame(1, 5, 30));
            bytes.extend(frame(0, 0, 16));
            bytes.extend(frame(8, 0, 4));
            frames.sent(BYTES_PER_WIDENING as usize);
        }
        for piece in bytes.chunks(7) {
            assert_eq!(frames.received(piece, 0), Ok(()));
        }
        let windows = frame(8, 0, 4);
        assert_eq!(feed(&mut frames, &windows, 1_001, 0), Err(Flood(8)));
    }
}
