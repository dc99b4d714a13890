//! Edge: every statement that the ledger's writer runs: the same few for each group.
//!
//! Rows come and go in bulk: one parameter, a JSON array of ids or of rows.

pub(super) const DONE: &str = "SELECT name, digest FROM command \
    WHERE name IN (SELECT value FROM json_each(?1))";
pub(super) const HOLDS: &str = "SELECT * FROM hold \
    WHERE id IN (SELECT value FROM json_each(?1))";
pub(super) const PAYERS: &str = "SELECT * FROM payer \
    WHERE id IN (SELECT value FROM json_each(?1))";
pub(super) const ACCRUALS: &str = "SELECT a.* FROM json_each(?1) AS j CROSS JOIN accrual AS a \
    ON a.payer = j.value ->> 0 AND a.month = j.value ->> 1";
pub(super) const ITEMS_OPEN: &str = "SELECT * FROM item \
    WHERE open <> 0 AND payer IN (SELECT value FROM json_each(?1))";
pub(super) const ITEMS_ALL: &str = "SELECT * FROM item \
    WHERE payer IN (SELECT value FROM json_each(?1))";
pub(super) const ALLOCATIONS: &str = "SELECT * FROM allocation \
    WHERE payer IN (SELECT value FROM json_each(?1)) ORDER BY seq";
pub(super) const DOCUMENTS: &str = "SELECT * FROM document \
    WHERE id IN (SELECT value FROM json_each(?1))";
pub(super) const SERIES: &str = "SELECT seller, series, max(number) AS number FROM document \
    WHERE series IN (SELECT value FROM json_each(?1)) GROUP BY seller, series";
pub(super) const TRANSFERS_OF: &str = "SELECT t.*, j.value AS command \
    FROM json_each(?1) AS j CROSS JOIN transfer AS t \
    ON t.id > j.value || '/' AND t.id < j.value || '0' ORDER BY t.seq";
/// What payers run: sums over their open intervals.
pub(super) const RUNNING: &str = "SELECT payer, usage_type, \
    coalesce(attributes ->> 'zone', '') AS zone, \
    sum(max(coalesce(attributes ->> 'count', 1), 1)) AS pieces, \
    sum(coalesce(attributes ->> 'vcpus', 0)) AS vcpus, \
    sum(coalesce(attributes ->> 'memory_mib', 0)) AS memory_mib, \
    sum(coalesce(attributes ->> 'size_bytes', 0)) AS bytes \
    FROM interval WHERE end_at IS NULL AND payer IN (SELECT value FROM json_each(?1)) \
    GROUP BY payer, usage_type, zone";
/// What payers' open calls are going to start: sums over the things of their intents.
pub(super) const UNDER_WAY: &str = "SELECT i.payer, t.value ->> 0 AS usage_type, \
    t.value ->> 1 AS zone, sum(t.value ->> 2) AS pieces, sum(t.value ->> 3) AS vcpus, \
    sum(t.value ->> 4) AS memory_mib, sum(t.value ->> 5) AS bytes \
    FROM intent AS i, json_each( \
        CASE WHEN json_valid(i.planned) THEN i.planned ELSE '{}' END, '$.things') AS t \
    WHERE i.status NOT IN ('settled', 'given-back') \
    AND i.payer IN (SELECT value FROM json_each(?1)) \
    GROUP BY i.payer, t.value ->> 0, t.value ->> 1";
pub(super) const LAST: &str = "SELECT seq, hash FROM transfer ORDER BY seq DESC LIMIT 1";

pub(super) const PUT_DONE: &str = "INSERT INTO command \
    SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?1)";
pub(super) const PUT_TRANSFERS: &str = "INSERT INTO transfer \
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, \
    value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10 FROM json_each(?1)";
pub(super) const PUT_PAYERS: &str = "INSERT OR REPLACE INTO payer \
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, \
    value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11, \
    value ->> 12, value ->> 13, value ->> 14, value ->> 15, value ->> 16, value ->> 17 \
    FROM json_each(?1)";
pub(super) const PUT_HOLDS: &str = "INSERT OR REPLACE INTO hold \
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, \
    value ->> 6, value ->> 7 FROM json_each(?1)";
pub(super) const PUT_ACCRUALS: &str = "INSERT OR REPLACE INTO accrual \
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, \
    value ->> 6, value ->> 7, value ->> 8, value ->> 9 FROM json_each(?1)";
pub(super) const PUT_ITEMS: &str = "INSERT OR REPLACE INTO item \
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5 \
    FROM json_each(?1)";
pub(super) const PUT_ALLOCATIONS: &str = "INSERT INTO allocation (id, item, payer, amount, at) \
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?1)";
pub(super) const PUT_DOCUMENTS: &str = "INSERT INTO document \
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, \
    value ->> 6, value ->> 7, value ->> 8, value ->> 9 FROM json_each(?1)";
pub(super) const PUT_INTENTS: &str = "INSERT OR IGNORE INTO intent \
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, \
    value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11, \
    value ->> 12, value ->> 13 FROM json_each(?1)";
pub(super) const CHANGE_INTENTS: &str = "UPDATE intent SET \
    status = CASE WHEN intent.status IN ('settled', 'given-back') \
        THEN intent.status ELSE j.value ->> 1 END, \
    job = coalesce(j.value ->> 2, intent.job), \
    resource = coalesce(j.value ->> 3, intent.resource), \
    answered = coalesce(intent.answered, j.value ->> 4), \
    updated = j.value ->> 5, \
    note = coalesce(j.value ->> 6, intent.note) \
    FROM json_each(?1) AS j WHERE intent.call = j.value ->> 0";
pub(super) const PUT_INTERVALS: &str = "INSERT OR IGNORE INTO interval \
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, \
    value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11, \
    value ->> 12, value ->> 13, value ->> 14 FROM json_each(?1)";
pub(super) const REPLACE_INTERVALS: &str = "INSERT OR REPLACE INTO interval \
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, \
    value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11, \
    value ->> 12, value ->> 13, value ->> 14 FROM json_each(?1)";
pub(super) const END_INTERVALS: &str = "UPDATE interval SET \
    end_at = j.value ->> 1, end_source = j.value ->> 2 \
    FROM json_each(?1) AS j WHERE interval.id = j.value ->> 0";
pub(super) const PUT_NOTICES: &str = "INSERT OR IGNORE INTO notice \
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?1)";
pub(super) const PUT_META: &str = "INSERT OR REPLACE INTO meta \
    SELECT value ->> 0, value ->> 1 FROM json_each(?1)";
