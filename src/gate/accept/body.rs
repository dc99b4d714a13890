//! Edge: a request's body, read whole, under bounds of size, time and speed.

use super::caps::Held;
use crate::terms::limits;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body::Body;
use http_body_util::BodyExt;
use std::time::Duration;
use tokio::time::Instant;

/// A body that takes longer is cut.
const BODY_MAX: Duration = Duration::from_secs(30);
/// How far a body may lag behind its least speed.
const LAG_MAX: Duration = Duration::from_secs(5);
/// The least speed.
const BYTES_PER_SECOND_MIN: u32 = 1_024;

/// Reads a body to its end.
///
/// # Errors
/// The status that a client gets which sends too much, too slowly, or breaks off.
pub async fn read<B>(mut body: B, mut held: Held) -> Result<(Bytes, Held), StatusCode>
where
    B: Body<Data = Bytes> + Unpin,
{
    if body.is_end_stream() {
        return Ok((Bytes::new(), held));
    }
    let began = Instant::now();
    let last = began + BODY_MAX;
    let mut read = BytesMut::new();
    loop {
        let earned = u32::try_from(read.len()).unwrap_or(u32::MAX) / BYTES_PER_SECOND_MIN;
        let due = began + LAG_MAX + Duration::from_secs(u64::from(earned));
        let next = tokio::time::timeout_at(due.min(last), body.frame());
        let Some(frame) = next.await.map_err(|_| StatusCode::REQUEST_TIMEOUT)? else {
            return Ok((read.freeze(), held));
        };
        let frame = frame.map_err(|_| StatusCode::BAD_REQUEST)?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        let bytes = read.len().saturating_add(data.len());
        if bytes > limits::BODY_BYTES_MAX {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        if !held.grow_to(bytes) {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        read.extend_from_slice(data);
    }
}
