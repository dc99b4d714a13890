//! Pure: the two forms of an answer, from one ordered tree, and CloudStack's standing refusals.

use crate::cloudstack::envelope::{ApiError, Format, error_body, escape_xml};
use serde_json::Value;
use std::fmt::Write;

/// Version that the stand-in names itself with, as the recorded server does.
pub const VERSION: &str = "4.22.0.0-SNAPSHOT";

/// A refusal: the error, and whether it wears the wrapper `errorresponse`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// Code, text.
    pub error: ApiError,
    /// Another wrapper than the command's own.
    pub wrapper: Option<&'static str>,
}

/// An answer before it is written.
#[derive(Clone, PartialEq, Debug)]
pub struct Answer {
    /// HTTP's status.
    pub status: u16,
    /// The body.
    pub body: String,
    /// `X-Description`, for errors of form B.
    pub description: Option<String>,
}

/// A refusal of form B.
#[must_use]
pub fn refused(code: i64, cs_code: i64, text: impl Into<String>) -> Refused {
    let error = ApiError {
        code,
        cs_code: Some(cs_code),
        text: text.into(),
    };
    Refused {
        error,
        wrapper: None,
    }
}

/// 401, the same for every reason (form A).
#[must_use]
pub fn unauthorized() -> Refused {
    let text = "unable to verify user credentials and/or request signature".to_owned();
    Refused {
        error: ApiError {
            code: 401,
            cs_code: None,
            text,
        },
        wrapper: None,
    }
}

/// 432: the role lacks the command.
#[must_use]
pub fn forbidden(command: &str) -> Refused {
    let text = format!("The API [{command}] does not exist or is not available for the account.");
    Refused {
        wrapper: Some("errorresponse"),
        ..refused(432, 9999, text)
    }
}

/// 531: somebody else's object.
#[must_use]
pub fn not_yours() -> Refused {
    refused(
        531,
        4365,
        "Acct does not have permission to operate with resource",
    )
}

/// 431: a parameter is missing.
#[must_use]
pub fn missing(command: &str, name: &str) -> Refused {
    let command = command.to_lowercase();
    let text = format!("Unable to execute API command {command} due to missing parameter {name}");
    refused(431, 9999, text)
}

/// 431: a parameter names nothing.
#[must_use]
pub fn parameter_value(command: &str, name: &str, value: &str) -> Refused {
    let command = command.to_lowercase();
    refused(
        431,
        9999,
        format!(
            "Unable to execute API command {command} due to invalid value. Invalid parameter \
             {name} value={value} due to incorrect long value format, or entity does not exist or \
             due to incorrect parameter annotation for the field in api cmd class."
        ),
    )
}

/// The wrapper of a command's answer.
#[must_use]
pub fn wrapper(command: &str) -> String {
    match command {
        "createSSHKeyPair" => "createsshkeypairresponse".to_owned(),
        _ => format!("{}response", command.to_lowercase()),
    }
}

/// Writes an answer.
#[must_use]
pub fn write(
    command: &str,
    outcome: Result<Value, Refused>,
    format: Format,
    known_caller: bool,
) -> Answer {
    match outcome {
        Ok(value) => {
            let name = wrapper(command);
            let body = match format {
                Format::Json => format!("{{\"{name}\":{value}}}"),
                Format::Xml => {
                    let mut text = format!(
                        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
                         <{name} cloud-stack-version=\"{VERSION}\">"
                    );
                    write_xml(&mut text, "", &value);
                    let _ = write!(text, "</{name}>");
                    text
                }
            };
            Answer {
                status: 200,
                body,
                description: None,
            }
        }
        Err(refusal) => {
            let own = wrapper(command);
            let name = refusal.wrapper.unwrap_or(&own);
            let version = known_caller.then_some(VERSION);
            let body = error_body(name, &refusal.error, format, version);
            let description = refusal
                .error
                .cs_code
                .is_some()
                .then(|| refusal.error.text.clone());
            let status = u16::try_from(refusal.error.code).unwrap_or(530);
            Answer {
                status,
                body,
                description,
            }
        }
    }
}

/// A list's items are elements of the list's name; what is empty or null is left out.
fn write_xml(out: &mut String, name: &str, value: &Value) {
    match value {
        Value::Null => {}
        Value::Array(items) => items.iter().for_each(|item| write_xml(out, name, item)),
        Value::Object(fields) => {
            if !name.is_empty() {
                let _ = write!(out, "<{name}>");
            }
            for (field, inner) in fields {
                write_xml(out, field, inner);
            }
            if !name.is_empty() {
                let _ = write!(out, "</{name}>");
            }
        }
        Value::String(text) => {
            let _ = write!(out, "<{name}>{}</{name}>", escape_xml(text));
        }
        plain => {
            let _ = write!(out, "<{name}>{plain}</{name}>");
        }
    }
}
