//! What a case of the table is: what the client sends, and what the server has to do.

/// One thing that a client does, or waits for.
pub enum Step {
    Send(Vec<u8>),
    /// Status 200 and the end of the stream.
    Answer(u32),
    /// So many ACKs of settings, with the first one's.
    Acks(usize),
    Pong([u8; 8]),
    /// No ping with this content is answered.
    NoPong([u8; 8]),
    /// A ping is answered, and nobody said GOAWAY.
    Alive,
    /// So many bytes of data, and no more for now.
    Data(u32, usize),
    /// The head of an answer, and no data for now.
    NoData(u32),
}

/// What must come of it.
pub enum Want {
    /// That stream is answered with status 200, and the connection goes on.
    Answered(u32),
    /// The steps say it all.
    Steps,
    /// GOAWAY with one of these codes and the end, or the end at once.
    Connection(&'static [u32]),
    /// RST_STREAM, or GOAWAY, with one of these codes, or the end.
    Stream(u32, &'static [u32]),
    /// A malformed request: a stream error PROTOCOL_ERROR or a status of 400 to 499; and nothing
    /// reaches CloudStack.
    Malformed(u32),
    /// An answer with status 200, or a stream error with one of these codes.
    AnsweredOr(u32, &'static [u32]),
}

pub struct Case {
    /// The section, and what it is about.
    pub name: String,
    pub steps: Vec<Step>,
    pub want: Want,
    /// Begins without preface and settings.
    pub raw: bool,
}

impl Case {
    pub fn new(name: impl Into<String>, steps: Vec<Step>, want: Want) -> Self {
        Self {
            name: name.into(),
            steps,
            want,
            raw: false,
        }
    }

    /// Sends this, and wants that.
    pub fn of(name: impl Into<String>, bytes: Vec<u8>, want: Want) -> Self {
        Self::new(name, vec![Step::Send(bytes)], want)
    }

    pub fn raw(name: impl Into<String>, bytes: Vec<u8>, want: Want) -> Self {
        Self {
            raw: true,
            ..Self::of(name, bytes, want)
        }
    }
}

pub const PROTOCOL: u32 = 1;
pub const FLOW: u32 = 3;
pub const CLOSED: u32 = 5;
pub const SIZE: u32 = 6;
pub const REFUSED: u32 = 7;
pub const COMPRESSION: u32 = 9;
