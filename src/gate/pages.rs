//! Edge: the web interface's files and the console, passed on as they are: our own request line,
//! a few headers of the client's, streamed back.

use super::body::AnswerBody;
use super::forward;
use super::line::{Core, lost, way};
use super::page_path::{self, Page};
use super::parse::{Call, Method, SessionCookies};
use super::refusal::Refusal;
use crate::cloudstack::envelope::Format;
use crate::cloudstack::query::ParamMap;
use crate::terms::limits;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use std::net::SocketAddr;

/// Which paths beside the API are served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pages {
    /// The web interface's files.
    pub files: bool,
    /// The console servlet.
    pub console: bool,
}

/// What a browser may ask of a file beside its name.
const FILE_HEADERS: [HeaderName; 6] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::RANGE,
];
/// What the console servlet reads (`ConsoleProxyServlet.doGet`, its commands included).
const CONSOLE_NAMES: [&str; 12] = [
    "cmd",
    "vm",
    "w",
    "h",
    "sessionkey",
    "apikey",
    "signature",
    "signatureversion",
    "expires",
    "userid",
    "lang",
    "_",
];
const CONSOLE_COMMANDS: [&str; 3] = ["access", "thumbnail", "auth"];

/// Serves a path beside the API.
///
/// # Errors
/// [`Refusal::NotServed`] for what does not stand in the list; as a call of the API otherwise.
pub(super) async fn serve(
    core: &Core,
    head: &Parts,
    body: &Bytes,
    path: String,
    peer: SocketAddr,
    cookies: impl FnOnce() -> Result<Option<SessionCookies>, Refusal>,
) -> Result<Response<AnswerBody>, Refusal> {
    let pages = core.gate.pages;
    let page = page_path::page(&path).filter(|page| match page {
        Page::Console => pages.console,
        Page::Begin | Page::File(_) => pages.files,
    });
    let Some(page) = page else {
        return Err(Refusal::NotServed(path));
    };
    if !matches!(head.method.as_str(), "GET" | "HEAD") {
        let method = head.method.as_str().chars().take(20).collect();
        return Err(Refusal::Method(method));
    }
    if !body.is_empty() {
        return Err(Refusal::BodyOnGet);
    }
    let way = way(core, peer);
    match page {
        Page::Begin => Ok(begin()),
        Page::File(path) => {
            let sent = forward::page(&way, &head.method, &path, asked(head), None);
            sent.await.map_err(|fault| lost(fault.sent))
        }
        Page::Console => {
            let call = console(head, cookies)?;
            let target = format!("{path}?{}", call.params.to_wire());
            let none = HeaderMap::new();
            let sent = forward::page(&way, &head.method, &target, none, Some(&call));
            sent.await.map_err(|fault| lost(fault.sent))
        }
    }
}

/// The web interface lives below `/client/`, whose cookies have that path.
fn begin() -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::whole(Bytes::new()));
    *response.status_mut() = StatusCode::FOUND;
    let target = HeaderValue::from_static("/client/");
    response.headers_mut().insert(header::LOCATION, target);
    response
}

/// The headers of the list, each once, short and printable.
fn asked(head: &Parts) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for name in &FILE_HEADERS {
        let mut values = head.headers.get_all(name).iter();
        if let (Some(value), None) = (values.next(), values.next())
            && value.len() <= limits::VALUE_BYTES_MAX
            && value.to_str().is_ok()
        {
            kept.insert(name.clone(), value.clone());
        }
    }
    if let Some(agent) = head.headers.get(header::USER_AGENT)
        && agent.len() <= limits::VALUE_BYTES_MAX
    {
        kept.insert(header::USER_AGENT, agent.clone());
    }
    kept
}

/// The console's query, read in one way only, as a call that carries its session's cookies where
/// it is not signed.
fn console(
    head: &Parts,
    cookies: impl FnOnce() -> Result<Option<SessionCookies>, Refusal>,
) -> Result<Call, Refusal> {
    let query = head.uri.query().unwrap_or_default();
    let params = ParamMap::parse(query.as_bytes(), b"").map_err(Refusal::Params)?;
    let unknown = params
        .iter()
        .find(|(name, param)| {
            !CONSOLE_NAMES.contains(name) || param.value.len() > limits::VALUE_BYTES_MAX
        })
        .map(|(_, param)| param.name.clone());
    if let Some(name) = unknown {
        let what = "is not what the console reads".to_owned();
        return Err(Refusal::Parameter { name, what });
    }
    let command = params.get("cmd").unwrap_or_default();
    if !CONSOLE_COMMANDS.contains(&command) {
        return Err(Refusal::NotServed(format!("/client/console?cmd={command}")));
    }
    let mut call = Call {
        method: Method::Get,
        params,
        format: Format::Json,
        cookies: None,
        user_agent: None,
        bundle: None,
    };
    if !call.signed() {
        call.cookies = cookies()?;
    }
    Ok(call)
}
