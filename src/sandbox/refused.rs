//! Pure: the stand-in's refusals, to CloudStack's letter.

use crate::cloudstack::envelope::ApiError;

/// An error answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// Status, code, text.
    pub error: ApiError,
    /// Another wrapper than the command's own.
    pub wrapper: Option<&'static str>,
}

/// A refusal with a `cserrorcode` (form B).
#[must_use]
pub fn refused(code: i64, cs_code: i64, text: impl Into<String>) -> Refused {
    Refused {
        error: ApiError {
            code,
            cs_code: Some(cs_code),
            text: text.into(),
        },
        wrapper: None,
    }
}

/// A service's own 431.
#[must_use]
pub fn invalid(text: impl Into<String>) -> Refused {
    refused(431, 4350, text)
}

/// 431 of the framework.
#[must_use]
pub fn bad_parameter(text: impl Into<String>) -> Refused {
    refused(431, 9999, text)
}

/// 401, the same for every reason (form A).
#[must_use]
pub fn unauthorized() -> Refused {
    Refused {
        error: ApiError {
            code: 401,
            cs_code: None,
            text: "unable to verify user credentials and/or request signature".to_owned(),
        },
        wrapper: None,
    }
}

/// 401 for a command that does not exist.
#[must_use]
pub fn unknown_command(is_named: bool) -> Refused {
    Refused {
        wrapper: Some(if is_named { "errorresponse" } else { "null" }),
        ..unauthorized()
    }
}

/// 432: the role lacks the command. The id in the text is random, as CloudStack's is.
#[must_use]
pub fn forbidden(command: &str, random: &str) -> Refused {
    Refused {
        wrapper: Some("errorresponse"),
        ..refused(
            432,
            9999,
            format!(
                "The API [{command}] does not exist or is not available for the account for \
                 user id [{random}]."
            ),
        )
    }
}

/// 531: somebody else's.
#[must_use]
pub fn not_yours() -> Refused {
    refused(
        531,
        4365,
        "Caller does not have permission to operate with provided resource.",
    )
}

/// 431: a parameter is missing. `name` is the wrapper's name without `response`.
#[must_use]
pub fn missing(name: &str, parameter: &str) -> Refused {
    bad_parameter(format!(
        "Unable to execute API command {name} due to missing parameter {parameter}"
    ))
}

/// 431: a parameter names nothing.
#[must_use]
pub fn unknown_id(name: &str, parameter: &str, value: &str) -> Refused {
    bad_parameter(format!(
        "Unable to execute API command {name} due to invalid value. Invalid parameter {parameter} \
         value={value} due to incorrect long value format, or entity does not exist or due to \
         incorrect parameter annotation for the field in api cmd class."
    ))
}

/// 530: something inside went wrong.
#[must_use]
pub fn internal() -> Refused {
    refused(
        530,
        9999,
        "Internal error executing command, please contact your system administrator",
    )
}
