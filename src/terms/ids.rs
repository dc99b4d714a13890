//! Pure: ids of our own things, and names for CloudStack's, that the compiler refuses to swap.
//!
//! Our ids are 128 bits, time-ordered (UUIDv7 layout), shown as `hld_<32 hex digits>` and parsed
//! back strictly. They are made in `clock.rs`, where randomness and time live.

use std::fmt;
use std::str::FromStr;

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id of the form {prefix}_<32 hexadecimal digits>")]
pub struct IdError {
    /// The text as given.
    pub text: String,
    /// The prefix that was expected.
    pub prefix: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// The id with these 128 bits.
            #[must_use]
            pub const fn from_bits(bits: u128) -> Self {
                Self(bits)
            }
            /// The 128 bits.
            #[must_use]
            pub const fn bits(self) -> u128 {
                self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{:032x}"), self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                parse(text, $prefix).map(Self)
            }
        }
    };
}

fn parse(text: &str, prefix: &'static str) -> Result<u128, IdError> {
    let fault = || IdError {
        text: text.to_owned(),
        prefix,
    };
    let hex = text
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('_'))
        .filter(|hex| {
            hex.len() == 32 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        })
        .ok_or_else(fault)?;
    u128::from_str_radix(hex, 16).map_err(|_| fault())
}

id!(
    /// One received request.
    CallId, "cal"
);
id!(
    /// Money promised for one raising call.
    HoldId, "hld"
);
id!(
    /// Money promised for several calls together.
    BundleId, "bnd"
);
id!(
    /// One document: invoice or credit note.
    DocumentId, "doc"
);
id!(
    /// One stretch of time during which a meter ran unchanged.
    IntervalId, "itv"
);

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The name as written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A customer's side of a ledger, named in `policies/customers`.
    PayerId
);
name!(
    /// Who issues the invoice: the house or a reseller, named in `policies/sellers`.
    SellerId
);
name!(
    /// A transfer's id, given by its cause: applied twice is applied once.
    TransferId
);
name!(
    /// A cap and whose spending it counts together: its id in the policies, `/`, and the subject.
    CapId
);
name!(
    /// A price line's id within its book, for example `vcpu-running`.
    PriceLineId
);
name!(
    /// CloudStack's id (UUID text) of an account.
    CsAccountId
);
name!(
    /// CloudStack's id (UUID text) of a domain.
    CsDomainId
);
name!(
    /// CloudStack's id (UUID text) of a project.
    CsProjectId
);
name!(
    /// CloudStack's id (UUID text) of an asynchronous job.
    JobId
);
name!(
    /// CloudStack's id (UUID text) of a billable thing: VM, volume, address, network.
    ResourceId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_as_it_was_shown() {
        let id = HoldId::from_bits(0x0192_0000_0000_7000_8000_0000_0000_00ff);
        assert_eq!(id.to_string().parse::<HoldId>(), Ok(id));
    }

    #[test]
    fn an_id_of_another_kind_or_another_spelling_is_refused() {
        for text in [
            "",
            "hld_",
            "cal_00000000000000000000000000000001",
            "hld_1",
            "hld_0000000000000000000000000000000G",
            "hld_0000000000000000000000000000000A",
        ] {
            assert!(text.parse::<HoldId>().is_err(), "{text}");
        }
    }
}
