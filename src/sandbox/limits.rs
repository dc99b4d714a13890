//! Edge: what an account may have (`ResourceLimitManagerImpl`): defaults, use, refusals.

use super::cloud::{Cloud, Used};
use super::records::Account;
use super::refused::{Refused, refused};

/// GiB in bytes.
pub const GIB: i64 = 1 << 30;

/// Types of resources by number: name, default of an account.
pub const TYPES: [(u8, &str, i64); 17] = [
    (0, "user_vm", 20),
    (1, "public_ip", 20),
    (2, "volume", 20),
    (3, "snapshot", 20),
    (4, "template", 20),
    (5, "project", 10),
    (6, "network", 20),
    (7, "vpc", 20),
    (8, "cpu", 40),
    (9, "memory", 40_960),
    (10, "primary_storage", 200),
    (11, "secondary_storage", 400),
    (12, "backup", 20),
    (13, "backup_storage", 400),
    (14, "bucket", 20),
    (15, "object_storage", 400),
    (16, "gpu", 20),
];

/// The limit of an account, -1 for none; root admins have none. Storage in GiB.
#[must_use]
pub fn limit(account: &Account, kind: u8) -> i64 {
    if account.kind == 1 {
        return -1;
    }
    let default = TYPES
        .iter()
        .find(|(number, ..)| *number == kind)
        .map_or(-1, |row| row.2);
    account.limits.get(&kind).copied().unwrap_or(default)
}

/// What is used of a type. Primary storage in bytes.
#[must_use]
pub fn used(cloud: &Cloud, account: &str, kind: u8) -> i64 {
    let of: Used = cloud.used_by(account);
    match kind {
        0 => of.vms,
        1 => of.addresses,
        2 => of.volumes,
        3 => of.snapshots,
        5 => count(
            cloud
                .projects
                .iter()
                .filter(|p| !p.removed && p.owner == account),
        ),
        6 => of.networks,
        8 => of.cpus,
        9 => of.memory,
        10 => of.bytes,
        _ => 0,
    }
}

fn count<T>(rows: impl Iterator<Item = T>) -> i64 {
    i64::try_from(rows.count()).unwrap_or(i64::MAX)
}

/// Refuses what would go beyond the limit: 535, with the code of the command's service.
///
/// # Errors
/// 535 with CloudStack's text.
pub fn check(
    cloud: &Cloud,
    account: &Account,
    kind: u8,
    wanted: i64,
    cs_code: i64,
) -> Result<(), Refused> {
    let is_storage = matches!(kind, 10 | 11);
    let limit = limit(account, kind);
    let top = if is_storage {
        limit.saturating_mul(GIB)
    } else {
        limit
    };
    let used = used(cloud, &account.id, kind);
    if limit < 0 || used.saturating_add(wanted) <= top {
        return Ok(());
    }
    let show = |amount: i64| {
        if is_storage {
            bytes(amount)
        } else {
            amount.to_string()
        }
    };
    let name = TYPES
        .iter()
        .find(|(number, ..)| *number == kind)
        .map_or("", |row| row.1);
    let domain = cloud
        .domains
        .find(&account.domain)
        .map_or(0, |domain| domain.number);
    Err(refused(
        535,
        cs_code,
        format!(
            "Maximum amount of resources of Type = '{name}', tag = 'null' for Account Name = {} \
             in Domain Id = {domain} is exceeded: Account Resource Limit = {}, Current Account \
             Resource Amount = {}, Current Account Resource Reservation = {}, Requested Resource \
             Amount = {}.",
            account.name,
            show(top),
            show(used),
            show(0),
            show(wanted),
        ),
    ))
}

/// `(2.00 GB) 2147483648`, with two decimals cut.
fn bytes(amount: i64) -> String {
    if amount < GIB {
        return format!("({amount} bytes) {amount}");
    }
    let hundredths = amount.saturating_mul(100) / GIB;
    format!("({}.{:02} GB) {amount}", hundredths / 100, hundredths % 100)
}
