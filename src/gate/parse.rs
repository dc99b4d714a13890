//! Pure: a received request → one call, read in one way only, or a refusal (C1 to C6).

use super::refusal::Refusal;
use crate::cloudstack::envelope::Format;
use crate::cloudstack::query::ParamMap;
use crate::terms::limits;

/// Bytes of a head that we build beside query, agent and cookies: request line, `Host`, the
/// client's address, names of headers, and a job id of ours.
const HEAD_BYTES_BESIDE: usize = 448;

/// A header: its name in any case, and its value.
pub type Header<'a> = (&'a str, &'a [u8]);

/// A request as it was received.
#[derive(Clone, Copy, Debug)]
pub struct RawRequest<'a> {
    /// Method, as in the request line.
    pub method: &'a str,
    /// Target, as in the request line.
    pub target: &'a [u8],
    /// Headers in order.
    pub headers: &'a [Header<'a>],
    /// Body.
    pub body: &'a [u8],
}

/// The two methods that CloudStack's API runs commands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// Parameters in the query.
    Get,
    /// Parameters in query and form.
    Post,
}

/// The two cookies of a login session, where a request without a signature carries them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionCookies {
    /// `JSESSIONID`.
    pub session: String,
    /// The first `sessionkey`: the one that CloudStack reads (`HttpUtils.findCookie`).
    pub key: Option<String>,
    /// Another `sessionkey` beside it has another value; no raising call passes so.
    pub keys_differ: bool,
}

/// One call of the API.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// GET stays GET and POST stays POST: CloudStack tells them apart.
    pub method: Method,
    /// The parameters: judged, and forwarded.
    pub params: ParamMap,
    /// The form of its answer.
    pub format: Format,
    /// Its session's cookies; none on a signed call.
    pub cookies: Option<SessionCookies>,
    /// `User-Agent`, which CloudStack logs.
    pub user_agent: Option<String>,
    /// `X-Faregate-Bundle`: the bundle that it draws its hold from, as it was sent.
    pub bundle: Option<String>,
}

/// What a request is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Routed {
    /// A call of the API.
    Api(Call),
    /// Something else than the API, on a path that can be read in one way only.
    Elsewhere(String),
}

impl Call {
    /// Whether it carries a signature or a key; then CloudStack must see no cookie with it.
    #[must_use]
    pub fn signed(&self) -> bool {
        self.params.get("signature").is_some() || self.params.get("apikey").is_some()
    }
    /// The command's name as sent.
    #[must_use]
    pub fn command(&self) -> &str {
        self.params.command()
    }
    /// The `Cookie` header that CloudStack gets with a session's call.
    #[must_use]
    pub fn cookies_upstream(&self) -> Option<String> {
        let cookies = self.cookies.as_ref()?;
        Some(match &cookies.key {
            Some(key) => format!("JSESSIONID={}; sessionkey={key}", cookies.session),
            None => format!("JSESSIONID={}", cookies.session),
        })
    }
}

/// Reads a request.
///
/// # Errors
/// A [`Refusal`] that names the rule.
pub fn request(raw: &RawRequest<'_>) -> Result<Routed, Refusal> {
    if raw
        .target
        .iter()
        .any(|b| *b <= b' ' || *b == b'#' || *b == 0x7f)
    {
        return Err(Refusal::Target(shown(raw.target)));
    }
    let (path, query) = match raw.target.iter().position(|b| *b == b'?') {
        Some(at) => (raw.target.get(..at), raw.target.get(at.saturating_add(1)..)),
        None => (Some(raw.target), None),
    };
    let path = path.unwrap_or_default();
    if !is_api(path)? {
        return Ok(Routed::Elsewhere(
            String::from_utf8_lossy(path).into_owned(),
        ));
    }
    let method = match raw.method {
        "GET" => Method::Get,
        "POST" => Method::Post,
        other => return Err(Refusal::Method(other.chars().take(20).collect())),
    };
    check_body(method, raw)?;
    let params = ParamMap::parse(query.unwrap_or_default(), raw.body).map_err(Refusal::Params)?;
    let signed = params.get("signature").is_some() || params.get("apikey").is_some();
    let cookies = if signed {
        None
    } else {
        session_cookies(raw.headers)?
    };
    let format = Format::asked(params.get("response"));
    let call = Call {
        method,
        params,
        format,
        cookies,
        user_agent: agent(raw.headers),
        bundle: bundle(raw.headers)?,
    };
    if fits(&call) {
        Ok(Routed::Api(call))
    } else {
        Err(Refusal::QueryTooLong)
    }
}

/// C9: whether the head that is built of a call is one that CloudStack's server reads.
fn fits(call: &Call) -> bool {
    let agent = call.user_agent.as_ref().map_or(0, String::len);
    let cookies = call.cookies_upstream().map_or(0, |cookies| cookies.len());
    let query = match call.method {
        Method::Get => call.params.wire_length(),
        Method::Post => 0,
    };
    let parts = [query, agent, cookies, HEAD_BYTES_BESIDE];
    parts
        .iter()
        .fold(0_usize, |sum, part| sum.saturating_add(*part))
        <= limits::HEAD_BYTES_MAX
}

/// C1: exactly the API's path, or one that no reader takes for it.
fn is_api(path: &[u8]) -> Result<bool, Refusal> {
    if matches!(path, b"/client/api" | b"/client/api/") {
        return Ok(true);
    }
    let odd = || Refusal::Target(shown(path));
    if path.first() != Some(&b'/') {
        return Err(odd());
    }
    let mut segments = path.get(1..).unwrap_or_default().split(|b| *b == b'/');
    let first_two = [segments.next(), segments.next()];
    for segment in first_two.into_iter().flatten() {
        let is_dots = matches!(segment, b"." | b"..");
        if is_dots
            || segment
                .iter()
                .any(|b| matches!(b, b'%' | b';' | b'\\') || *b < 0x21)
        {
            return Err(odd());
        }
    }
    let text = String::from_utf8_lossy(path).to_ascii_lowercase();
    let could_decode = text.contains("//")
        || text.contains("/./")
        || text.contains("/..")
        || text.contains(';')
        || text.contains("%2e")
        || text.contains("%2f");
    let beside = text.starts_with("/client/api/") || text == "/client/api";
    if could_decode || beside {
        Err(odd())
    } else {
        Ok(false)
    }
}

fn shown(target: &[u8]) -> String {
    let path = target.split(|b| *b == b'?').next().unwrap_or_default();
    String::from_utf8_lossy(path).chars().take(80).collect()
}

/// C2: a GET has no body; a POST's is a form in UTF-8 of at most 1 MiB.
fn check_body(method: Method, raw: &RawRequest<'_>) -> Result<(), Refusal> {
    if raw.body.len() > limits::BODY_BYTES_MAX {
        return Err(Refusal::BodyTooLong);
    }
    if header(raw.headers, "content-encoding").next().is_some() {
        return Err(Refusal::BodyType("with a Content-Encoding".to_owned()));
    }
    match method {
        Method::Get if !raw.body.is_empty() => Err(Refusal::BodyOnGet),
        Method::Get => Ok(()),
        Method::Post => check_form_type(raw),
    }
}

fn check_form_type(raw: &RawRequest<'_>) -> Result<(), Refusal> {
    let types: Vec<String> = header(raw.headers, "content-type")
        .map(|value| String::from_utf8_lossy(value).trim().to_ascii_lowercase())
        .collect();
    let [one] = types.as_slice() else {
        // A POST whose parameters all stand in the query needs no type.
        return match (types.len(), raw.body.is_empty()) {
            (0, true) => Ok(()),
            (0, false) => Err(Refusal::BodyType("without a Content-Type".to_owned())),
            _ => Err(Refusal::TwoTypes),
        };
    };
    let mut parts = one.split(';').map(str::trim);
    let is_form = parts.next() == Some("application/x-www-form-urlencoded");
    let is_utf8 = parts
        .filter(|part| !part.is_empty())
        .all(|part| matches!(part, "charset=utf-8" | "charset=\"utf-8\""));
    if is_form && is_utf8 {
        Ok(())
    } else {
        Err(Refusal::BodyType(one.chars().take(80).collect()))
    }
}

/// C6: one session cookie. The web interface may send two keys of different scopes, after a SAML
/// login for instance; CloudStack reads the first.
///
/// # Errors
/// [`Refusal::Cookies`] for two sessions, or a value that is none of a session's.
pub fn session_cookies(headers: &[Header<'_>]) -> Result<Option<SessionCookies>, Refusal> {
    let mut sessions = Vec::new();
    let mut keys = Vec::new();
    for value in header(headers, "cookie") {
        let text = std::str::from_utf8(value).map_err(|_| Refusal::Cookies)?;
        for pair in text.split(';') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            // Within quotes a reader may take `;` for a part of the value.
            let quotes = value.bytes().filter(|b| *b == b'"').count();
            if !quotes.is_multiple_of(2) || (quotes > 0 && value.contains('\\')) {
                return Err(Refusal::Cookies);
            }
            let value = value.trim().trim_matches('"').to_owned();
            if name.trim().eq_ignore_ascii_case("jsessionid") {
                sessions.push(value);
            } else if name.trim().eq_ignore_ascii_case("sessionkey") {
                keys.push(value);
            }
        }
    }
    let is_token = |text: &String| {
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-=+/".contains(&b))
    };
    if sessions.len() > 1 || !sessions.iter().chain(&keys).all(is_token) {
        return Err(Refusal::Cookies);
    }
    Ok(sessions.pop().map(|session| SessionCookies {
        session,
        keys_differ: keys.iter().any(|key| Some(key) != keys.first()),
        key: keys.first().cloned(),
    }))
}

fn agent(headers: &[Header<'_>]) -> Option<String> {
    let value = header(headers, "user-agent").next()?;
    let text = std::str::from_utf8(value).ok()?;
    Some(
        text.chars()
            .filter(|c| !c.is_control())
            .take(limits::VALUE_BYTES_MAX)
            .collect(),
    )
}

/// The bundle of a call; a call of two bundles could be paid from either.
fn bundle(headers: &[Header<'_>]) -> Result<Option<String>, Refusal> {
    let mut values = header(headers, "x-faregate-bundle");
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(one), None) => Ok(Some(String::from_utf8_lossy(one).trim().to_owned())),
        _ => Err(Refusal::Parameter {
            name: "X-Faregate-Bundle".to_owned(),
            what: "stands there twice; send it once".to_owned(),
        }),
    }
}

fn header<'a>(headers: &'a [Header<'a>], lower: &'a str) -> impl Iterator<Item = &'a [u8]> {
    headers
        .iter()
        .filter(move |(name, _)| name.eq_ignore_ascii_case(lower))
        .map(|(_, value)| *value)
}
