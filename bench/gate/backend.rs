//! A backend that answers at once: about 2 KB of JSON to a customer's read call, a job to his
//! deploys, and what the gate asks for by itself in XML. Its jobs fail at the first question, so
//! that a long run leaves no machines behind whose renewals would be measured too.

use crate::load;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The domain that the bench's customer owns; eight levels lie above and below it.
pub const DOMAIN: &str = "d0000000-0000-4000-8000-000000000007";

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
    let machines = answer(JSON, &machines());
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
        let bytes = if head.contains("response=xml") {
            answer("text/xml; charset=UTF-8", &own_answer(&head))
        } else if head.contains("command=deployVirtualMachine") {
            answer(JSON, &started(&head))
        } else {
            machines.clone()
        };
        stream.write_all(&bytes).await?;
    }
}

const JSON: &str = "application/json; charset=UTF-8";

fn answer(kind: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nX-Content-Type-Options: nosniff\r\nX-XSS-Protection: 1;mode=block\r\n\
         Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// The value of a parameter in a request line.
fn param<'a>(head: &'a str, name: &str) -> &'a str {
    let at = head.find(&format!("{name}="));
    let value = at.and_then(|at| head.get(at + name.len() + 1..));
    value
        .and_then(|rest| rest.split(['&', ' ']).next())
        .unwrap_or_default()
}

fn started(head: &str) -> String {
    let job = match param(head, "customjobid") {
        "" => "4613f20a-72f5-4fb3-bd78-df9759957ab9",
        job => job,
    };
    format!("{{\"deployvirtualmachineresponse\":{{\"id\":\"{job}\",\"jobid\":\"{job}\"}}}}")
}

/// What the gate asks with its own account.
fn own_answer(head: &str) -> String {
    let name = param(head, "command").to_lowercase();
    let body = match name.as_str() {
        "getuser" => user(param(head, "userapikey")),
        "getuserkeys" => format!(
            "<userkeys><apikey>{}</apikey><secretkey>{}</secretkey></userkeys>",
            load::KEY,
            load::SECRET
        ),
        "listaccounts" => format!(
            "<account><id>a0000000-0000-4000-8000-000000000001</id><name>bench</name>\
             <domainid>{DOMAIN}</domainid><state>enabled</state><accounttype>0</accounttype>\
             </account>"
        ),
        "listdomains" => domains(),
        "listserviceofferings" => {
            "<serviceoffering><id>50000000-0000-4000-8000-000000000001</id><name>Small</name>\
             <cpunumber>1</cpunumber><cpuspeed>500</cpuspeed><memory>512</memory>\
             <iscustomized>false</iscustomized></serviceoffering>"
                .to_owned()
        }
        "listtemplates" => {
            "<template><id>70000000-0000-4000-8000-000000000001</id><name>Linux</name>\
             <size>5368709120</size><isready>true</isready></template>"
                .to_owned()
        }
        "queryasyncjobresult" => format!(
            "<jobid>{}</jobid><jobstatus>2</jobstatus><jobresultcode>530</jobresultcode>\
             <jobresulttype>object</jobresulttype><jobresult><errorcode>530</errorcode>\
             <errortext>the bench starts nothing</errortext></jobresult>",
            param(head, "jobid")
        ),
        _ => String::new(),
    };
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><{name}response>{body}</{name}response>")
}

fn user(key: &str) -> String {
    let state = match key {
        load::KEY => "enabled",
        load::KEY_OF_DISABLED => "disabled",
        _ => return "<errorcode>431</errorcode><errortext>no such user</errortext>".to_owned(),
    };
    format!(
        "<user><id>b0000000-0000-4000-8000-000000000001</id><account>bench</account>\
         <accountid>a0000000-0000-4000-8000-000000000001</accountid><accounttype>0</accounttype>\
         <domainid>{DOMAIN}</domainid><apikey>{key}</apikey><state>{state}</state></user>"
    )
}

fn domains() -> String {
    let of = |level: usize| format!("d0000000-0000-4000-8000-00000000000{level}");
    let mut text = "<count>9</count>".to_owned();
    for level in 0..9 {
        let parent = match level {
            0 => String::new(),
            _ => format!("<parentdomainid>{}</parentdomainid>", of(level - 1)),
        };
        text += &format!(
            "<domain><id>{}</id><name>level-{level}</name><level>{level}</level>{parent}</domain>",
            of(level)
        );
    }
    text
}

fn machines() -> String {
    let one = "{\"id\":\"4613f20a-72f5-4fb3-bd78-df9759957ab9\",\"name\":\"web-01\",\"account\":\
               \"alice\",\"state\":\"Running\",\"cpunumber\":1,\"memory\":1024,\"zonename\":\
               \"Sandbox\",\"serviceofferingname\":\"Small\",\"created\":\
               \"2026-11-22T23:47:00+0000\",\"hypervisor\":\"Simulator\"}";
    let list = [one; 7].join(",");
    format!("{{\"listvirtualmachinesresponse\":{{\"count\":7,\"virtualmachine\":[{list}]}}}}")
}
