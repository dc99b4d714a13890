//! Unknown key, wrong signature, disabled user: the same bytes, and medians beside each other, over
//! `BENCH_SAME` (100,000) calls of each, one after the other in turns on one connection.

use crate::Outcome;
use crate::load::{self, KEY, KEY_OF_DISABLED, SECRET};
use crate::measure;
use std::net::SocketAddr;
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const DEPLOY: [(&str, &str); 4] = [
    ("command", "deployVirtualMachine"),
    ("zoneid", "e0000000-0000-4000-8000-000000000001"),
    ("serviceofferingid", "50000000-0000-4000-8000-000000000001"),
    ("templateid", "70000000-0000-4000-8000-000000000001"),
];

/// Measures the three at this address.
pub async fn measured(gate: SocketAddr, kept: &mut Vec<serde_json::Value>) -> Outcome<()> {
    let calls = measure::setting("BENCH_SAME", 100_000);
    let nobody = "NOBODYSKEYxMPfGYFh13qDwYz5VNNz1J2J6qIOWcd3oLQOq0WtD4CwRundBL6rzXToa3lQOC";
    let cases = [
        ("unknown key", load::signed(&DEPLOY, nobody, SECRET)),
        (
            "wrong signature",
            load::signed(&DEPLOY, KEY, "another secret"),
        ),
        (
            "disabled user",
            load::signed(&DEPLOY, KEY_OF_DISABLED, SECRET),
        ),
    ];
    let mut stream = TcpStream::connect(gate).await?;
    stream.set_nodelay(true)?;
    let first = exchange(&mut stream, &cases[0].1).await?;
    if !first.starts_with(b"HTTP/1.1 401") {
        return Err(format!("not refused: {}", String::from_utf8_lossy(&first)).into());
    }
    let mut all: Vec<Vec<u64>> = cases.iter().map(|_| Vec::new()).collect();
    // Two keys are looked up once; what follows is the rule.
    for turn in 0..=calls {
        for (case, times) in cases.iter().zip(&mut all) {
            let asked = Instant::now();
            let answer = exchange(&mut stream, &case.1).await?;
            if answer != first {
                let told = String::from_utf8_lossy(&answer);
                return Err(format!("{} answers otherwise: {told}", case.0).into());
            }
            if turn > 0 {
                times.push(u64::try_from(asked.elapsed().as_nanos())?);
            }
        }
    }
    println!("refused alike, byte for byte, {calls} calls each; medians:");
    let medians: Vec<u64> = all.into_iter().map(measure::median).collect();
    let least = medians.iter().copied().min().unwrap_or(1).max(1);
    for (case, median) in cases.iter().zip(&medians) {
        let above = measure::thousandths(median.saturating_mul(1_000) / least);
        println!(
            "{:>16} {:>9} µs  ÷ least {above}",
            case.0,
            measure::thousandths(*median)
        );
        kept.push(serde_json::json!({
            "bench": "gate", "call": "refused", "case": case.0, "calls": calls,
            "p50_nanos": median,
        }));
    }
    Ok(())
}

async fn exchange(stream: &mut TcpStream, request: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(request).await?;
    let mut answer = Vec::with_capacity(2 * 1024);
    loop {
        if let Some(end) = answer.windows(4).position(|it| it == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"))
                .and_then(|text| text.trim().parse::<usize>().ok())
                .unwrap_or(0);
            if answer.len() >= end + 4 + length {
                return Ok(answer);
            }
        }
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(std::io::Error::other("closed without an answer"));
        }
    }
}
