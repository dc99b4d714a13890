//! Requests drawn from a grammar: mostly what clients send, with a few of the ways in which two
//! readers disagree.

use crate::campaign::Draw;

const NAMES: [&str; 24] = [
    "command",
    "apikey",
    "signature",
    "signatureversion",
    "expires",
    "response",
    "zoneid",
    "templateid",
    "serviceofferingid",
    "account",
    "domainid",
    "projectid",
    "name",
    "size",
    "details[0].cpuNumber",
    "details[1].memory",
    "networkids",
    "listall",
    "sessionkey",
    "customjobid",
    "ctxUserId",
    "userdata",
    "x-y.z_1",
    "keyword",
];
const COMMANDS: [&str; 8] = [
    "listZones",
    "deployVirtualMachine",
    "destroyVirtualMachine",
    "createVolume",
    "listusers",
    "queryAsyncJobResult",
    "",
    "login",
];
const VALUES: [&str; 34] = [
    "",
    "1",
    "true",
    "TRUE",
    "a b",
    "a+b",
    "~*+ /",
    "%",
    "%41",
    "a=b",
    "a&b",
    ";",
    "#",
    "?",
    "é",
    "e\u{301}",
    "İ",
    "ı",
    "\u{212a}",
    "\u{17f}",
    "ß",
    "中文",
    "😀",
    "\u{feff}",
    "\u{2028}",
    "\r\n",
    "\t",
    "\0",
    "json",
    "xml",
    "3",
    "2030-01-02T03:04:05+0000",
    "\u{7f}",
    "00000000-0000-4000-8000-00000000000A",
];
const PATHS: [&str; 22] = [
    "/client/api/",
    "/client/api/x",
    "/client/api;jsessionid=S",
    "/client;x/api",
    "/client/%61pi",
    "/%63lient/api",
    "/client%2fapi",
    "/client/./api",
    "/client/x/../api",
    "/client/%2e/api",
    "//client/api",
    "/client//api",
    "/CLIENT/api",
    "/client/API",
    "/client\\api",
    "/client/api%00",
    "/client/%2561pi",
    "/client/api%3bx",
    "/client/api.",
    "/client/",
    "/client/x/..;/api",
    "/",
];
const METHODS: [&str; 8] = [
    "HEAD", "PUT", "DELETE", "get", "PATCH", "OPTIONS", "TRACE", "Post",
];
const TYPES: [&str; 12] = [
    "application/x-www-form-urlencoded; charset=utf-8",
    "application/x-www-form-urlencoded;charset=\"UTF-8\"",
    "Application/X-WWW-Form-Urlencoded",
    "application/x-www-form-urlencoded; charset=utf-16",
    "application/x-www-form-urlencoded; charset=iso-8859-1",
    "application/x-www-form-urlencoded, text/plain",
    "application/x-www-form-urlencoded;",
    "application/x-www-form-urlencoded; a=b",
    "multipart/form-data; boundary=x",
    "text/plain",
    "application/json",
    "application/x-www-form-urlencoded; charset=utf-8; charset=utf-16",
];
const HEADERS: [&str; 14] = [
    "Cookie: JSESSIONID=node01; sessionkey=k1",
    "Cookie: jsessionid=node02; sessionkey=k1",
    "Cookie: JSESSIONID=\"node03\"",
    "Cookie: JSESSIONID=node04; JSESSIONID=node05",
    "Cookie: $Version=1; JSESSIONID=node06",
    "Cookie: x=\"a; JSESSIONID=node07\"",
    "Cookie: sessionkey=k1; other=1",
    "X-Forwarded-For: 9.9.9.9",
    "Forwarded: for=9.9.9.9;host=evil",
    "X-HTTP-Method-Override: GET",
    "Content-Encoding: gzip",
    "Connection: keep-alive, X-Forwarded-For",
    "Accept-Encoding: identity",
    "Content-Type: text/plain",
];

fn pick<'a>(draw: &mut Draw, from: &[&'a str]) -> &'a str {
    let at = draw.below(from.len() as u64) as usize;
    from[at]
}

fn one_in(draw: &mut Draw, count: u64) -> bool {
    draw.below(count) == 0
}

/// One request: its bytes, as a client would write them on a connection of its own.
pub fn request(draw: &mut Draw) -> Vec<u8> {
    let is_wild = one_in(draw, 3);
    let odd = |draw: &mut Draw, count| is_wild && one_in(draw, count);
    let method = match draw.below(5) {
        _ if odd(draw, 8) => pick(draw, &METHODS),
        0 | 1 => "POST",
        _ => "GET",
    };
    let path = if odd(draw, 4) {
        pick(draw, &PATHS)
    } else {
        "/client/api"
    };
    let pairs = pairs(draw, is_wild);
    let split = match method {
        "POST" => draw.below(pairs.len() as u64 + 1) as usize,
        _ => pairs.len(),
    };
    let query = pairs[..split].join("&");
    let body = pairs[split..].join("&");
    let mut head = format!("{method} {path}");
    if !query.is_empty() || one_in(draw, 8) {
        head.push('?');
        head.push_str(&query);
    }
    head.push_str(" HTTP/1.1\r\nHost: h\r\n");
    if method == "POST" || odd(draw, 10) {
        let form = "application/x-www-form-urlencoded";
        let kind = if odd(draw, 2) {
            pick(draw, &TYPES)
        } else {
            form
        };
        if !odd(draw, 12) {
            head.push_str(&format!("Content-Type: {kind}\r\n"));
        }
    }
    for _ in 0..draw.below(if is_wild { 4 } else { 2 }) {
        head.push_str(pick(draw, &HEADERS));
        head.push_str("\r\n");
    }
    framed(draw, head, &body, method == "POST")
}

fn pairs(draw: &mut Draw, is_wild: bool) -> Vec<String> {
    let mut names = vec!["command"];
    for _ in 0..draw.below(8) {
        let name = pick(draw, &NAMES[1..]);
        let is_new = !names.contains(&name);
        let is_inner = matches!(name, "customjobid" | "ctxUserId" | "sessionkey");
        if (is_new && !is_inner) || (is_wild && one_in(draw, 4)) {
            names.push(name);
        }
    }
    if is_wild && one_in(draw, 5) {
        names.push("command");
    }
    // Their order is the draw's as well.
    for at in (1..names.len()).rev() {
        names.swap(at, draw.below(at as u64 + 1) as usize);
    }
    names
        .into_iter()
        .map(|name| pair(draw, name, is_wild))
        .collect()
}

fn pair(draw: &mut Draw, name: &str, is_wild: bool) -> String {
    let value = match name {
        "command" => pick(draw, &COMMANDS).to_owned(),
        "response" => pick(draw, &["json", "xml", "JSON"]).to_owned(),
        _ => (0..draw.below(3)).map(|_| pick(draw, &VALUES)).collect(),
    };
    let is_keyword = matches!(name, "command" | "response" | "sessionkey");
    let mut name = match draw.below(6) {
        0 if !is_keyword || is_wild && one_in(draw, 4) => cased(draw, name),
        _ => name.to_owned(),
    };
    let odd = if is_wild { draw.below(24) } else { 24 };
    match odd {
        0 => name.insert(0, '\u{feff}'),
        1 => name = name.replace('i', "\u{131}").replace('k', "\u{212a}"),
        2 => name.push(' '),
        3 => return written(draw, &name),
        4 => return format!("{}=%C3", written(draw, &name)),
        5 => return format!("{}=%zz", written(draw, &name)),
        6 => return format!("{}=a%", written(draw, &name)),
        7 => return format!("&&{}=1&", written(draw, &name)),
        8 => return format!("={}", written(draw, &value)),
        9 => name.push('\0'),
        10 => return format!("{};x={}", written(draw, &name), written(draw, &value)),
        _ => {}
    }
    format!("{}={}", written(draw, &name), written(draw, &value))
}

fn cased(draw: &mut Draw, text: &str) -> String {
    let flip = |c: char| {
        if one_in(draw, 3) {
            c.to_ascii_uppercase()
        } else {
            c
        }
    };
    text.chars().map(flip).collect()
}

/// Percent-encoded, in one of the ways that clients have.
fn written(draw: &mut Draw, text: &str) -> String {
    let way = draw.below(8);
    let mut out = String::new();
    for byte in text.bytes() {
        let is_plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let is_bare = way >= 4 && b"*/:;,@!$'()[]=?".contains(&byte);
        match byte {
            b' ' if way.is_multiple_of(2) => out.push('+'),
            _ if way == 7 && one_in(draw, 6) => out.push_str(&format!("%{byte:02x}")),
            _ if is_plain || is_bare => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn framed(draw: &mut Draw, mut head: String, body: &str, takes_body: bool) -> Vec<u8> {
    let is_chunked = takes_body && one_in(draw, 5);
    if is_chunked {
        head.push_str("Transfer-Encoding: chunked\r\n\r\n");
        let mut rest = body;
        while !rest.is_empty() {
            let most = rest.len().min(40) as u64;
            let (chunk, after) = rest.split_at(1 + draw.below(most) as usize);
            head.push_str(&format!("{:x}\r\n{chunk}\r\n", chunk.len()));
            rest = after;
        }
        head.push_str("0\r\n\r\n");
    } else {
        if takes_body || !body.is_empty() {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        head.push_str(body);
    }
    head.into_bytes()
}
