//! A core asks CloudStack over the connections that it has, and opens one more only where all are
//! in use.

use bytes::Bytes;
use faregate::clock::Clock;
use faregate::gate::body::AnswerBody;
use faregate::upstream::exchange::Connections;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Answers each request with the same bytes, and counts the connections that were opened to it.
async fn backend(answer: &'static str) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let opened = Arc::new(AtomicUsize::new(0));
    let count = opened.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut read = [0_u8; 4096];
                while stream.read(&mut read).await.is_ok_and(|length| length > 0) {
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    (address, opened)
}

/// Sends what it gets on to the backend and streams the answer, as the gate does with a read call.
async fn proxy(backend: SocketAddr) -> SocketAddr {
    let connections = Arc::new(Connections::new(backend.to_string(), Clock::system()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let connections = connections.clone();
            let service = service_fn(move |_: Request<Incoming>| forward(connections.clone()));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

async fn forward(connections: Arc<Connections>) -> Result<Response<AnswerBody>, String> {
    let request = Request::get("/client/api").body(Full::<Bytes>::default());
    let sent = connections.send(request.unwrap(), false).await;
    let (answer, sender) = sent.map_err(|fault| fault.to_string())?;
    let (head, body) = answer.into_parts();
    let body = AnswerBody::streamed(body, sender, connections);
    Ok(Response::from_parts(head, body))
}

/// So many calls, one after the other, over one connection of a client; how many were opened to the
/// backend for them.
async fn opened_for(calls: usize, answer: &'static str, ends_with: &str) -> usize {
    let (backend, opened) = backend(answer).await;
    let mut client = TcpStream::connect(proxy(backend).await).await.unwrap();
    for _ in 0..calls {
        client
            .write_all(b"GET /client/api HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let mut read = Vec::new();
        while !read.ends_with(ends_with.as_bytes()) {
            let length = client.read_buf(&mut read).await.unwrap();
            assert!(length > 0, "the connection was closed in an answer");
        }
    }
    opened.load(Ordering::SeqCst)
}

#[tokio::test]
async fn calls_in_a_row_share_one_connection_to_cloudstack() {
    let sized = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    assert_eq!(opened_for(20, sized, "{}").await, 1);
}

#[tokio::test]
async fn an_answer_in_chunks_gives_its_connection_back() {
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    assert_eq!(opened_for(20, chunks, "0\r\n\r\n").await, 1);
}

#[tokio::test]
async fn an_empty_answer_gives_its_connection_back() {
    let empty = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(opened_for(20, empty, "\r\n\r\n").await, 1);
}
