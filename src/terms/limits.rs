//! Pure: every bound in the system, one constant a line, with its reason.

/// Bytes of a request's form body (C2 of the canonical rules; Jetty's own bound is the same).
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Calls in one bundle: each is priced, and each has a hold of its own.
pub const BUNDLE_LINES_MAX: usize = 50;
/// Names in one request (C2).
pub const NAMES_MAX: usize = 1_000;
/// Bytes of one name (C3).
pub const NAME_BYTES_MAX: usize = 255;
/// Bytes of one value, unless the command's schema says more.
pub const VALUE_BYTES_MAX: usize = 255;
/// Bytes of a request's head; Jetty refuses more than 8 KiB.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Bytes of an answer to a raising call that we read to learn its job (the rest streams on).
pub const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Holds in one durable group: one sync serves them all.
pub const HOLD_GROUP_MAX: usize = 256;
/// Commands that wait for the ledger's writer before callers are told to come back.
pub const LEDGER_QUEUE_MAX: usize = 4_096;
/// API keys kept in memory.
pub const KEYS_CACHED_MAX: u64 = 10_000;
/// Seconds an API key's answer may be used before CloudStack is asked again.
pub const KEY_SECONDS_MAX: u64 = 30;
/// Login sessions kept in memory.
pub const SESSIONS_CACHED_MAX: u64 = 100_000;
/// Seconds a session's owner may be used before CloudStack is asked again.
pub const SESSION_SECONDS_MAX: u64 = 300;
/// Rows of one page that we ask CloudStack for (its default ceiling).
pub const PAGE_ROWS: usize = 500;
/// Pages of one list that we read before saying that something is wrong.
pub const PAGES_MAX: usize = 10_000;
/// Call limits that are counted at once: those in force, and those that were before.
pub const COUNTED_LIMITS_MAX: usize = 1_000;
/// Keys, accounts or addresses that one call limit counts apart.
pub const COUNTED_SUBJECTS_MAX: usize = 100_000;
