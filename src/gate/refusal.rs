//! Pure: every reason why the gate says no, in order of precedence, with the facts that a person
//! needs. `respond.rs` turns it into CloudStack's own form.

use super::bundle::fault::BundleFault;
use crate::cloudstack::envelope::ApiError;
use crate::cloudstack::query::ParseFault;
use crate::policy::limits::TooMany;
use crate::terms::money::{Currency, Micros};

/// What a payer may be told of a refusal for money.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shortage {
    /// Price of the call for the horizon, one-off prices included.
    pub price: Micros,
    /// What is available; none where the caller may not know.
    pub available: Option<Micros>,
    /// How much is missing; none where the caller may not know.
    pub missing: Option<Micros>,
    /// The payer's currency.
    pub currency: Currency,
    /// Where to top up.
    pub top_up_url: String,
    /// The cover of what runs is short: raising calls wait until it is whole.
    pub cover_short: bool,
}

/// Why a call was refused. The first that applies is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// C1: a target that could be read as the API's in another way.
    Target(String),
    /// C2: a method that CloudStack runs nothing for.
    Method(String),
    /// C2: a GET with a body.
    BodyOnGet,
    /// C2: a body that is not a form in UTF-8.
    BodyType(String),
    /// C2: more than one `Content-Type`.
    TwoTypes,
    /// C2: a body over 1 MiB.
    BodyTooLong,
    /// C9: what would be sent is longer than the head that CloudStack's server reads.
    QueryTooLong,
    /// C2 to C5: parameters that can be read in two ways.
    Params(ParseFault),
    /// C6: cookies that can be read in two ways.
    Cookies,
    /// Not the API, and not served here.
    NotServed(String),
    /// No such command, or no class for it yet.
    UnknownCommand(String),
    /// Key unknown, signature wrong, expired, user or account off: CloudStack tells none apart.
    NotVerified,
    /// CloudStack's own answer to whether the session is alive.
    Told(ApiError),
    /// Who the caller or the owner is could not be found out.
    CannotAsk(String),
    /// An access rule of the provider says no.
    Access {
        /// The rule's id.
        rule: String,
        /// As the provider wrote it.
        reason: String,
    },
    /// C7, C8: a parameter of a priced call that CloudStack could read in another way.
    Parameter {
        /// Which.
        name: String,
        /// What is wrong with it.
        what: String,
    },
    /// A parameter that CloudStack needs too: told in its words (`ParamProcessWorker`).
    Missing {
        /// Of which command, in lower case.
        command: String,
        /// Which.
        name: String,
    },
    /// What the call is about cannot be found out from its parameters.
    OwnerUnclear(String),
    /// Nobody pays for the owner.
    NobodyPays,
    /// The command raises cost, and no price rule or price covers it.
    Unpriced(String),
    /// Too many calls: a call limit of the operator says no.
    TooMany(TooMany),
    /// The payer would have more of something than a things limit of the operator lets him.
    TooMuch {
        /// The limit's id.
        rule: String,
        /// What the caller may be told.
        text: String,
    },
    /// Not enough money.
    NotEnough(Shortage),
    /// What a call says of bundles cannot be done.
    Bundle(BundleFault),
    /// A reseller's wholesale wallet does not carry the call. Nothing of it is the caller's to
    /// hear.
    WholesaleShort,
    /// The store is away or full.
    StoreAway(String),
    /// Too many calls wait.
    Busy,
    /// CloudStack could not be reached: nothing was sent.
    UpstreamAway,
    /// CloudStack's answer was lost: the call may have run.
    AnswerLost,
}

impl Refusal {
    /// The rule that says no; stable, for logs, metrics and replays.
    #[must_use]
    pub fn rule(&self) -> &str {
        match self {
            Self::Target(_) | Self::NotServed(_) => "C1",
            Self::Method(_)
            | Self::BodyOnGet
            | Self::BodyType(_)
            | Self::TwoTypes
            | Self::BodyTooLong => "C2",
            Self::QueryTooLong => "C9",
            Self::Params(ParseFault::TooManyNames) => "C2",
            Self::Params(ParseFault::Repeated(_)) => "C4",
            Self::Params(ParseFault::NotLowerCase(_) | ParseFault::NotForClients(_)) => "C5",
            Self::Params(_) => "C3",
            Self::Cookies => "C6",
            Self::UnknownCommand(_) => "C8",
            Self::NotVerified | Self::Told(_) => "C10",
            Self::CannotAsk(_) => "key.cannot-ask",
            Self::Access { .. } => "access",
            Self::Parameter { .. } | Self::Missing { .. } => "C7",
            Self::OwnerUnclear(_) => "owner.unclear",
            Self::NobodyPays => "owner.nobody-pays",
            Self::Unpriced(_) => "price.none",
            Self::TooMany(limit) => &limit.rule,
            Self::TooMuch { rule, .. } => rule,
            Self::NotEnough(shortage) if shortage.cover_short => "money.cover-short",
            Self::NotEnough(_) => "money.not-enough",
            Self::Bundle(fault) => fault.rule(),
            Self::WholesaleShort => "money.wholesale",
            Self::StoreAway(_) => "store.away",
            Self::Busy => "store.busy",
            Self::UpstreamAway => "upstream.away",
            Self::AnswerLost => "upstream.answer-lost",
        }
    }

    /// The error in CloudStack's own numbers. Refusals for money are 535, never 401, 402 or 403:
    /// clients throw their credentials away on those.
    #[must_use]
    pub fn error(&self) -> ApiError {
        let (code, cs_code) = match self {
            Self::Target(_) | Self::BodyOnGet | Self::TwoTypes => (400, Some(9999)),
            Self::BodyType(_) => (415, Some(9999)),
            Self::Method(_) => (405, Some(9999)),
            Self::BodyTooLong => (413, Some(9999)),
            Self::QueryTooLong => (414, Some(9999)),
            Self::NotServed(_) => (404, Some(9999)),
            Self::Cookies | Self::NotVerified => (401, None),
            Self::Told(error) => (error.code, error.cs_code),
            Self::Bundle(fault) => fault.codes(),
            Self::Params(_)
            | Self::Parameter { .. }
            | Self::Missing { .. }
            | Self::OwnerUnclear(_) => (431, Some(9999)),
            Self::UnknownCommand(_) => (432, Some(9999)),
            Self::Access { .. } | Self::NobodyPays => (531, Some(4365)),
            Self::Unpriced(_) => (535, Some(4370)),
            Self::NotEnough(_) | Self::WholesaleShort | Self::TooMuch { .. } => (535, Some(4370)),
            // The number and words of CloudStack's own limit (`ApiRateLimitServiceImpl`).
            Self::TooMany(_) => (429, Some(9999)),
            Self::CannotAsk(_) | Self::StoreAway(_) | Self::Busy | Self::UpstreamAway => {
                (503, Some(9999))
            }
            Self::AnswerLost => (503, Some(9999)),
        };
        ApiError {
            code,
            cs_code,
            text: self.text(),
        }
    }

    /// What a person is told.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Target(path) => {
                format!("`{path}` can be read as another path; use /client/api exactly")
            }
            Self::Method(method) => format!("method {method} runs no command; use GET or POST"),
            Self::BodyOnGet => "a GET carries no body; send the parameters in the query, or use \
                                POST"
                .to_owned(),
            Self::BodyType(what) => format!(
                "a body {what} is not read; send application/x-www-form-urlencoded in UTF-8"
            ),
            Self::TwoTypes => "the request has more than one Content-Type; send it once".to_owned(),
            Self::BodyTooLong => "the body is over 1 MiB; send less".to_owned(),
            Self::QueryTooLong => "the query is longer than a management server reads; send the \
                                   parameters as a form with POST"
                .to_owned(),
            Self::Params(fault) => fault.to_string(),
            Self::Cookies | Self::NotVerified => {
                "unable to verify user credentials and/or request signature".to_owned()
            }
            Self::Told(error) => error.text.clone(),
            Self::NotServed(path) => format!("`{path}` is not served here"),
            Self::UnknownCommand(name) => format!(
                "command `{name}` is not known to the gate; the provider can give it a class"
            ),
            Self::CannotAsk(what) => {
                format!("the cloud could not be asked who this is ({what}); try again")
            }
            Self::Access { rule, reason } => format!("{reason} (rule {rule})"),
            Self::Parameter { name, what } => format!("parameter `{name}`: {what}"),
            Self::Missing { command, name } => {
                format!("Unable to execute API command {command} due to missing parameter {name}")
            }
            Self::OwnerUnclear(what) => format!("it is not clear who would own this: {what}"),
            Self::NobodyPays => "nobody pays for this account; ask your provider".to_owned(),
            Self::Unpriced(what) => format!(
                "{what} has no price yet and would cost money, so prepaid customers cannot use \
                 it; ask your provider to price it"
            ),
            Self::TooMany(limit) => format!(
                "The given user has reached his/her account api limit, please retry after {} ms. \
                 ({}: {})",
                limit.wait_ms(),
                limit.rule,
                limit.reason
            ),
            Self::TooMuch { text, .. } => text.clone(),
            Self::NotEnough(shortage) => shortage_text(shortage),
            Self::Bundle(fault) => fault.to_string(),
            Self::WholesaleShort => "your provider cannot start more at the moment; nothing was \
                                     started, ask your provider"
                .to_owned(),
            Self::StoreAway(what) => {
                format!(
                    "the books cannot be written ({what}); nothing was started, try again in a \
                     minute. Reading, stopping and deleting pass meanwhile"
                )
            }
            Self::Busy => "too many calls wait; nothing was started, try again".to_owned(),
            Self::UpstreamAway => {
                "the management server cannot be reached; nothing was started, try again".to_owned()
            }
            Self::AnswerLost => "the management server's answer was lost; the call may have run: \
                                 look before you repeat it"
                .to_owned(),
        }
    }
}

fn shortage_text(shortage: &Shortage) -> String {
    let Shortage {
        price,
        currency,
        top_up_url,
        ..
    } = shortage;
    let why = if shortage.cover_short {
        "what already runs is not covered, so nothing more can be started"
    } else {
        "not enough balance"
    };
    match (shortage.available, shortage.missing) {
        (Some(available), Some(missing)) => format!(
            "{why}: price {price} {currency}, balance {available} {currency}, missing {missing} \
             {currency}. Top up at {top_up_url}"
        ),
        _ => format!("{why}. Top up at {top_up_url}"),
    }
}
