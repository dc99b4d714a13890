//! Edge: when a connection is cut for its slowness, and when it must not be.

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// Longer than anything that is cut here.
const NEVER: Duration = Duration::from_secs(3_600);
const SOON: Duration = Duration::from_millis(50);

fn pair(head: Duration, idle: Duration) -> (DuplexStream, Timed<DuplexStream>, Arc<Phase>) {
    let (client, server) = tokio::io::duplex(64);
    let phase = Phase::fresh();
    let mut timed = Timed::new(server, phase.clone());
    timed.patience = Patience {
        head,
        idle,
        stall: SOON,
    };
    (client, timed, phase)
}

async fn is_cut(timed: &mut Timed<DuplexStream>) -> bool {
    let mut byte = [0];
    match tokio::time::timeout(SOON * 4, timed.read_exact(&mut byte)).await {
        Ok(read) => {
            assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
            true
        }
        Err(_) => false,
    }
}

#[tokio::test]
async fn a_head_and_an_idle_connection_are_cut_and_a_call_is_not() {
    let (_client, mut timed, phase) = pair(SOON, NEVER);
    assert!(is_cut(&mut timed).await);
    phase.idle();
    assert!(!is_cut(&mut timed).await);
    let (_client, mut timed, phase) = pair(NEVER, SOON);
    assert!(!is_cut(&mut timed).await);
    phase.busy();
    assert!(!is_cut(&mut timed).await);
    phase.answering();
    assert!(!is_cut(&mut timed).await);
    phase.idle();
    assert!(is_cut(&mut timed).await);
}

#[tokio::test]
async fn a_head_that_dribbles_gains_no_time() {
    let (mut client, mut timed, phase) = pair(SOON, NEVER);
    phase.idle();
    let dribble = async {
        while client.write_all(b"x").await.is_ok() {
            tokio::time::sleep(SOON / 10).await;
        }
    };
    let read = async {
        let mut bytes = Vec::new();
        timed.read_to_end(&mut bytes).await.unwrap_err().kind()
    };
    tokio::select! {
        () = dribble => panic!("not cut"),
        cut = read => assert_eq!(cut, std::io::ErrorKind::TimedOut),
    }
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_cut() {
    let (client, mut timed, phase) = pair(NEVER, NEVER);
    phase.answering();
    let fault = timed.write_all(&[7; 1_000]).await.unwrap_err();
    assert_eq!(fault.kind(), std::io::ErrorKind::TimedOut);
    drop(client);
}

#[tokio::test]
async fn a_flood_of_frames_is_a_fault_of_the_stream() {
    let (mut client, server) = tokio::io::duplex(64 * 1024);
    let mut timed = Timed::framed(server, Phase::fresh());
    let mut bytes = vec![0; 24];
    for _ in 0..2_000 {
        bytes.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    }
    client.write_all(&bytes).await.unwrap();
    drop(client);
    let fault = timed.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert!(fault.to_string().contains("0x04"), "{fault}");
}
