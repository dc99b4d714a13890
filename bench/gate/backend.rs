//! A backend that answers at once: about 2 KB of JSON to a customer's call, an empty list in XML to
//! the gate's own calls.

use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Listens on a port of its own.
pub async fn start() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    Ok(address)
}

async fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let customers = answer("application/json; charset=UTF-8", &machines());
    let mut read = Vec::with_capacity(8 * 1024);
    loop {
        let Some(end) = read.windows(4).position(|it| it == b"\r\n\r\n") else {
            if stream.read_buf(&mut read).await? == 0 {
                return Ok(());
            }
            continue;
        };
        let head = String::from_utf8_lossy(&read[..end]).into_owned();
        read.drain(..end + 4);
        let own = head.contains("response=xml");
        let bytes = if own {
            empty_list(&head)
        } else {
            customers.clone()
        };
        stream.write_all(&bytes).await?;
    }
}

fn answer(kind: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nX-Content-Type-Options: nosniff\r\nX-XSS-Protection: 1;mode=block\r\n\
         Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn empty_list(head: &str) -> Vec<u8> {
    let command = head.split("command=").nth(1).map(|rest| {
        rest.split(['&', ' '])
            .next()
            .unwrap_or_default()
            .to_lowercase()
    });
    let name = command.unwrap_or_default();
    let body =
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><{name}response></{name}response>");
    answer("text/xml; charset=UTF-8", &body)
}

fn machines() -> String {
    let one = "{\"id\":\"4613f20a-72f5-4fb3-bd78-df9759957ab9\",\"name\":\"web-01\",\"account\":\
               \"alice\",\"state\":\"Running\",\"cpunumber\":1,\"memory\":1024,\"zonename\":\
               \"Sandbox\",\"serviceofferingname\":\"Small\",\"created\":\
               \"2026-11-22T23:47:00+0000\",\"hypervisor\":\"Simulator\"}";
    let list = [one; 7].join(",");
    format!("{{\"listvirtualmachinesresponse\":{{\"count\":7,\"virtualmachine\":[{list}]}}}}")
}
