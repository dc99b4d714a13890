//! Pure: answers in CloudStack's own form: reading them, and writing its errors to the letter.

use super::tree::Node;
use super::xml;

/// In which form a client asked to be answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// `response=json`, in any case of the value.
    Json,
    /// Everything else.
    Xml,
}

impl Format {
    /// The form that a `response` parameter asks for.
    #[must_use]
    pub fn asked(response: Option<&str>) -> Self {
        match response {
            Some(text) if text.eq_ignore_ascii_case("json") => Self::Json,
            _ => Self::Xml,
        }
    }
}

/// An error as CloudStack writes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApiError {
    /// `errorcode`: HTTP's status as well (`ApiErrorCode`).
    pub code: i64,
    /// `cserrorcode` (`CSExceptionErrorCode`); none in form A.
    pub cs_code: Option<i64>,
    /// `errortext`.
    pub text: String,
}

/// An answer, read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// HTTP's status.
    pub status: u16,
    /// What is inside the wrapper; the node's name is the wrapper's.
    pub node: Node,
    /// The error, where it is one.
    pub error: Option<ApiError>,
}

/// Why an answer could not be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("CloudStack's answer (status {status}) cannot be read: {what}")]
pub struct UnreadableAnswer {
    /// HTTP's status.
    pub status: u16,
    /// What is wrong with it.
    pub what: String,
}

/// Reads an answer in XML.
///
/// # Errors
/// [`UnreadableAnswer`] for what is not well-formed.
pub fn read_xml(status: u16, body: &[u8]) -> Result<Answer, UnreadableAnswer> {
    let node = xml::read(body).map_err(|e| UnreadableAnswer {
        status,
        what: e.to_string(),
    })?;
    Ok(answer(status, node))
}

/// Reads an answer in JSON: one object with the wrapper's name.
///
/// # Errors
/// [`UnreadableAnswer`] for what is not JSON or has no wrapper.
pub fn read_json(status: u16, body: &[u8]) -> Result<Answer, UnreadableAnswer> {
    let fault = |what: String| UnreadableAnswer { status, what };
    let value: serde_json::Value =
        serde_json::from_slice(body).map_err(|e| fault(e.to_string()))?;
    let wrapper = value.as_object().and_then(|object| object.iter().next());
    let (name, inside) = wrapper.ok_or_else(|| fault("it has no wrapper".to_owned()))?;
    Ok(answer(status, Node::from_json(name, inside)))
}

/// Reads an answer in the form that was asked for.
///
/// # Errors
/// [`UnreadableAnswer`].
pub fn read(status: u16, body: &[u8], format: Format) -> Result<Answer, UnreadableAnswer> {
    match format {
        Format::Json => read_json(status, body),
        Format::Xml => read_xml(status, body),
    }
}

fn answer(status: u16, node: Node) -> Answer {
    let error = node.number_of("errorcode").map(|code| ApiError {
        code,
        cs_code: node.number_of("cserrorcode"),
        text: node.text_of("errortext").unwrap_or_default().to_owned(),
    });
    Answer {
        status,
        node,
        error,
    }
}

/// Headers of every answer of the API but `Content-Type`, in CloudStack's order.
pub const SECURITY_HEADERS: [(&str, &str); 8] = [
    ("X-Content-Type-Options", "nosniff"),
    ("X-XSS-Protection", "1;mode=block"),
    ("content-security-policy", "1"),
    ("content-security-policy", "default-src=none"),
    ("content-security-policy", "script-src=self"),
    ("content-security-policy", "connect-src=self"),
    ("content-security-policy", "img-src=self"),
    ("content-security-policy", "style-src=self"),
];

/// `Content-Type` of an answer.
#[must_use]
pub const fn content_type(format: Format) -> &'static str {
    match format {
        Format::Json => "application/json;charset=utf-8",
        Format::Xml => "text/xml;charset=utf-8",
    }
}

/// The body of an error. Form A has no `cserrorcode`; `version` is written in XML for callers who
/// were authenticated.
#[must_use]
pub fn error_body(
    wrapper: &str,
    error: &ApiError,
    format: Format,
    version: Option<&str>,
) -> String {
    match format {
        Format::Json => {
            let cs_code = error
                .cs_code
                .map(|code| format!("\"cserrorcode\":{code},"))
                .unwrap_or_default();
            let text = serde_json::Value::from(error.text.as_str());
            let code = error.code;
            format!(
                "{{\"{wrapper}\":{{\"uuidList\":[],\"errorcode\":{code},{cs_code}\"errortext\":{text}}}}}"
            )
        }
        Format::Xml => {
            let version = version
                .map(|text| format!(" cloud-stack-version=\"{}\"", escape_xml(text)))
                .unwrap_or_default();
            let cs_code = error
                .cs_code
                .map(|code| format!("<cserrorcode>{code}</cserrorcode>"))
                .unwrap_or_default();
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?><{wrapper}{version}><errorcode>{}</errorcode>{cs_code}<errortext>{}</errortext></{wrapper}>",
                error.code,
                escape_xml(&error.text),
            )
        }
    }
}

/// `X-Description`: Latin-1, what is beyond it or a line break becomes a blank.
#[must_use]
pub fn description(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| match u8::try_from(u32::from(c)) {
            Ok(byte) if byte >= 0x20 && byte != 0x7f => byte,
            _ => b' ',
        })
        .collect()
}

/// The five entities of XML, as CloudStack's serializer writes them.
#[must_use]
pub fn escape_xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            plain => escaped.push(plain),
        }
    }
    escaped
}
