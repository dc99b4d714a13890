//! Edge: every statement that the ledger's writer runs, in the words of either database: the same
//! few for each group.
//!
//! Rows come and go in bulk: one parameter, a JSON array of ids or of rows. What differs between
//! the two is how such an array is taken apart, and that PostgreSQL wants its numbers typed; the
//! macros below write both texts from one list of columns.

/// One statement in the words of both databases. Parameters are `$1`, `$2` … in either.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Sql {
    pub(super) sqlite: &'static str,
    pub(super) postgres: &'static str,
    /// The same in SQLite with a row's values each bound by itself, where many rows come in.
    pub(super) rows: Option<Rows>,
}

/// A statement that takes rows in: what comes before and after their values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rows {
    head: &'static str,
    columns: usize,
    known: &'static str,
}

impl Rows {
    /// How `put!` makes one.
    pub(super) const fn of(head: &'static str, columns: usize, known: &'static str) -> Self {
        Self {
            head,
            columns,
            known,
        }
    }

    /// The statement for so many rows.
    pub(super) fn text(&self, rows: usize) -> String {
        let row = format!("({})", vec!["?"; self.columns].join(", "));
        let rows = vec![row; rows].join(", ");
        format!("{} {rows} {}", self.head, self.known)
    }
}

impl Sql {
    /// A statement that both understand.
    pub(super) const fn both(text: &'static str) -> Self {
        Self {
            sqlite: text,
            postgres: text,
            rows: None,
        }
    }
}

/// Rows whose column is one of the ids in the array `$1`.
macro_rules! of_ids {
    ($head:literal, $column:literal, $tail:literal) => {
        Sql {
            sqlite: concat!(
                $head,
                " ",
                $column,
                " IN (SELECT value FROM json_each($1)) ",
                $tail
            ),
            postgres: concat!(
                $head,
                " ",
                $column,
                " = ANY (ARRAY(SELECT json_array_elements_text($1::json))) ",
                $tail
            ),
            rows: None,
        }
    };
}

/// A field of a row in the array `$1`, by its place and type.
macro_rules! cell {
    ($at:literal text) => {
        concat!("j.value ->> ", $at)
    };
    ($at:literal number) => {
        concat!("(j.value ->> ", $at, ")::bigint")
    };
}

/// Takes the array `$1` of rows in. `known` is what to do with a row whose key is there already.
macro_rules! put {
    ($table:literal ($at0:literal $name0:ident $kind0:ident
        $(, $at:literal $name:ident $kind:ident)*) $known:expr) => {
        Sql {
            sqlite: concat!(
                "INSERT INTO ", $table, " (", stringify!($name0) $(, ", ", stringify!($name))*,
                ") SELECT j.value ->> ", $at0 $(, ", j.value ->> ", $at)*,
                " FROM json_each($1) AS j WHERE true ", $known
            ),
            postgres: concat!(
                "INSERT INTO ", $table, " (", stringify!($name0) $(, ", ", stringify!($name))*,
                ") SELECT ", cell!($at0 $kind0) $(, ", ", cell!($at $kind))*,
                " FROM json_array_elements($1::json) AS j(value) WHERE true ", $known
            ),
            rows: Some($crate::store::sql::Rows::of(
                concat!(
                    "INSERT INTO ", $table, " (", stringify!($name0)
                    $(, ", ", stringify!($name))*, ") VALUES"
                ),
                [$at0 $(, $at)*].len(),
                $known,
            )),
        }
    };
}

/// Replaces every named column of a row whose key is there already.
macro_rules! replace {
    ($key:literal: $name0:ident $($name:ident)*) => {
        concat!(
            "ON CONFLICT (", $key, ") DO UPDATE SET ",
            stringify!($name0), " = excluded.", stringify!($name0)
            $(, ", ", stringify!($name), " = excluded.", stringify!($name))*
        )
    };
}

/// A second row of the same key changes nothing.
macro_rules! keep {
    () => {
        "ON CONFLICT DO NOTHING"
    };
}

pub(super) use {cell, of_ids, put, replace};

pub(super) const DONE: Sql = of_ids!("SELECT name, digest FROM command WHERE", "name", "");
pub(super) const HOLDS: Sql = of_ids!("SELECT * FROM hold WHERE", "id", "");
/// Caps in their newest periods.
pub(super) const CAPS: Sql = of_ids!(
    "SELECT * FROM cap WHERE start_at = (SELECT max(c.start_at) FROM cap AS c WHERE c.id = cap.id) \
     AND",
    "id",
    ""
);
pub(super) const CAP_SHARES: Sql = Sql {
    sqlite: "SELECT s.* FROM json_each($1) AS j CROSS JOIN cap_share AS s \
        ON s.cap = j.value ->> 0 AND s.payer = j.value ->> 1",
    postgres: "SELECT s.* FROM json_array_elements($1::json) AS j(value) JOIN cap_share AS s \
        ON s.cap = j.value ->> 0 AND s.payer = j.value ->> 1",
    rows: None,
};
/// Intervals of some payers that touch a period, oldest first.
pub(super) const INTERVALS_OF: Sql = of_ids!(
    "SELECT * FROM interval WHERE start_at < $3 AND (end_at IS NULL OR end_at > $2) AND",
    "payer",
    " ORDER BY start_at, id"
);
pub(super) const PAYERS: Sql = of_ids!("SELECT * FROM payer WHERE", "id", "");
pub(super) const GRANTS: Sql = of_ids!("SELECT * FROM promo_grant WHERE", "payer", "");
pub(super) const ACCRUALS: Sql = Sql {
    sqlite: "SELECT a.* FROM json_each($1) AS j CROSS JOIN accrual AS a \
        ON a.payer = j.value ->> 0 AND a.month = j.value ->> 1",
    postgres: "SELECT a.* FROM json_array_elements($1::json) AS j(value) JOIN accrual AS a \
        ON a.payer = j.value ->> 0 AND a.month = j.value ->> 1",
    rows: None,
};
pub(super) const ITEMS_OPEN: Sql = of_ids!("SELECT * FROM item WHERE open <> 0 AND", "payer", "");
pub(super) const ITEMS_ALL: Sql = of_ids!("SELECT * FROM item WHERE", "payer", "");
pub(super) const ALLOCATIONS: Sql =
    of_ids!("SELECT * FROM allocation WHERE", "payer", "ORDER BY seq");
pub(super) const DOCUMENTS: Sql = of_ids!("SELECT * FROM document WHERE", "id", "");
pub(super) const SERIES: Sql = of_ids!(
    "SELECT seller, series, max(number) AS number FROM document WHERE",
    "series",
    "GROUP BY seller, series"
);
pub(super) const TRANSFERS_OF: Sql = Sql {
    sqlite: "SELECT t.*, j.value AS command \
        FROM json_each($1) AS j CROSS JOIN transfer AS t \
        ON t.id > j.value || '/' AND t.id < j.value || '0' ORDER BY t.seq",
    postgres: "SELECT t.*, j.value AS command \
        FROM json_array_elements_text($1::json) AS j(value) JOIN transfer AS t \
        ON t.id > j.value || '/' AND t.id < j.value || '0' ORDER BY t.seq",
    rows: None,
};
/// What payers run: sums over their open intervals.
pub(super) const RUNNING: Sql = Sql {
    sqlite: "SELECT payer, usage_type, coalesce(attributes ->> 'zone', '') AS zone, \
        sum(max(coalesce(attributes ->> 'count', 1), 1)) AS pieces, \
        sum(coalesce(attributes ->> 'vcpus', 0)) AS vcpus, \
        sum(coalesce(attributes ->> 'memory_mib', 0)) AS memory_mib, \
        sum(coalesce(attributes ->> 'size_bytes', 0)) AS bytes \
        FROM interval WHERE end_at IS NULL AND payer IN (SELECT value FROM json_each($1)) \
        GROUP BY payer, usage_type, zone",
    postgres: "SELECT payer, usage_type, coalesce(a ->> 'zone', '') AS zone, \
        sum(greatest(coalesce((a ->> 'count')::bigint, 1), 1))::bigint AS pieces, \
        sum(coalesce((a ->> 'vcpus')::bigint, 0))::bigint AS vcpus, \
        sum(coalesce((a ->> 'memory_mib')::bigint, 0))::bigint AS memory_mib, \
        sum(coalesce((a ->> 'size_bytes')::bigint, 0))::bigint AS bytes \
        FROM interval, LATERAL (SELECT attributes::json AS a) AS parsed \
        WHERE end_at IS NULL \
        AND payer = ANY (ARRAY(SELECT json_array_elements_text($1::json))) \
        GROUP BY payer, usage_type, coalesce(a ->> 'zone', '')",
    rows: None,
};
/// What payers' open calls are going to start: sums over the things of their intents.
pub(super) const UNDER_WAY: Sql = Sql {
    sqlite: "SELECT i.payer, t.value ->> 0 AS usage_type, \
        t.value ->> 1 AS zone, sum(t.value ->> 2) AS pieces, sum(t.value ->> 3) AS vcpus, \
        sum(t.value ->> 4) AS memory_mib, sum(t.value ->> 5) AS bytes \
        FROM intent AS i, json_each( \
            CASE WHEN json_valid(i.planned) THEN i.planned ELSE '{}' END, '$.things') AS t \
        WHERE i.status NOT IN ('settled', 'given-back') \
        AND i.payer IN (SELECT value FROM json_each($1)) \
        GROUP BY i.payer, t.value ->> 0, t.value ->> 1",
    postgres: "SELECT i.payer, (t.value ->> 0)::bigint AS usage_type, t.value ->> 1 AS zone, \
        sum((t.value ->> 2)::bigint)::bigint AS pieces, \
        sum((t.value ->> 3)::bigint)::bigint AS vcpus, \
        sum((t.value ->> 4)::bigint)::bigint AS memory_mib, \
        sum((t.value ->> 5)::bigint)::bigint AS bytes \
        FROM intent AS i, json_array_elements( \
            CASE WHEN left(i.planned, 1) = '{' THEN i.planned::json -> 'things' END) AS t(value) \
        WHERE i.status NOT IN ('settled', 'given-back') \
        AND i.payer = ANY (ARRAY(SELECT json_array_elements_text($1::json))) \
        GROUP BY i.payer, t.value ->> 0, t.value ->> 1",
    rows: None,
};
/// The end of SQLite's chain. PostgreSQL's is written behind the commits (`seal.rs`).
pub(super) const LAST: Sql = Sql::both("SELECT seq, hash FROM transfer ORDER BY seq DESC LIMIT 1");

pub(super) const PUT_DONE: Sql = put!("command" (0 name text, 1 digest text, 2 body text) "");
const TRANSFERS: Sql = put!("transfer" (
    0 seq number, 1 id text, 2 payer text, 3 seller text, 4 currency text, 5 event text,
    6 debit text, 7 credit text, 8 amount number, 9 at number, 10 hash text
) "");
/// `seq` and `hash` are the rows' own in SQLite; PostgreSQL numbers them and seals them later.
pub(super) const PUT_TRANSFERS: Sql = Sql {
    sqlite: TRANSFERS.sqlite,
    rows: TRANSFERS.rows,
    postgres: "WITH written AS (INSERT INTO transfer \
        (id, payer, seller, currency, event, debit, credit, amount, at) SELECT \
        j.value ->> 1, j.value ->> 2, j.value ->> 3, j.value ->> 4, j.value ->> 5, \
        j.value ->> 6, j.value ->> 7, (j.value ->> 8)::bigint, (j.value ->> 9)::bigint \
        FROM json_array_elements($1::json) WITH ORDINALITY AS j(value, place) \
        ORDER BY j.place RETURNING seq) INSERT INTO unsealed SELECT seq FROM written",
};
pub(super) const PUT_PAYERS: Sql = put!("payer" (
    0 id text, 1 seller text, 2 currency text, 3 mode text, 4 credit_line number,
    5 available number, 6 held number, 7 retention number, 8 accrued number,
    9 promo_available number, 10 promo_held number, 11 promo_accrued number,
    12 holds_open number, 13 promo_holds_open number, 14 cover_target number,
    15 promo_cover_target number, 16 accrued_through number, 17 version number
) replace!("id": seller currency mode credit_line available held retention accrued
    promo_available promo_held promo_accrued holds_open promo_holds_open cover_target
    promo_cover_target accrued_through version));
pub(super) const PUT_HOLDS: Sql = put!("hold" (
    0 id text, 1 payer text, 2 call text, 3 wallet number, 4 promo number, 5 one_off number,
    6 status text, 7 at number, 8 caps text
) replace!("id, payer": call wallet promo one_off status at caps));
pub(super) const PUT_CAPS: Sql = put!("cap" (
    0 id text, 1 start_at number, 2 held number, 3 accrued number
) replace!("id, start_at": held accrued));
pub(super) const PUT_CAP_SHARES: Sql = put!("cap_share" (
    0 cap text, 1 payer text, 2 start_at number, 3 covered number, 4 metered number,
    5 one_off number
) replace!("cap, payer": start_at covered metered one_off));
pub(super) const PUT_GRANTS: Sql = put!("promo_grant" (
    0 payer text, 1 id text, 2 amount number, 3 remaining number, 4 expired number,
    5 expires number, 6 ended number, 7 reason text, 8 at number
) replace!("payer, id": amount remaining expired expires ended reason at));
pub(super) const PUT_ACCRUALS: Sql = put!("accrual" (
    0 payer text, 1 month text, 2 zone text, 3 line text, 4 tax_group text, 5 quantity text,
    6 total number, 7 promo_total number, 8 invoiced number, 9 promo_invoiced number
) replace!("payer, month, zone, line, tax_group": quantity total promo_total invoiced
    promo_invoiced));
pub(super) const PUT_ITEMS: Sql = put!("item" (
    0 payer text, 1 id text, 2 amount number, 3 open number, 4 due number, 5 at number
) replace!("payer, id": amount open due at));
pub(super) const PUT_ALLOCATIONS: Sql = put!("allocation" (
    0 id text, 1 item text, 2 payer text, 3 amount number, 4 at number
) "");
pub(super) const PUT_DOCUMENTS: Sql = put!("document" (
    0 id text, 1 seller text, 2 payer text, 3 kind text, 4 series text, 5 number number,
    6 total number, 7 corrects text, 8 body text, 9 at number
) "");
pub(super) const PUT_INTENTS: Sql = put!("intent" (
    0 call text, 1 hold text, 2 payer text, 3 owner text, 4 command text, 5 params text,
    6 job text, 7 resource text, 8 planned text, 9 status text, 10 sent number,
    11 answered number, 12 updated number, 13 note text
) keep!());
pub(super) const CHANGE_INTENTS: Sql = Sql {
    sqlite: "UPDATE intent SET \
        status = CASE WHEN intent.status IN ('settled', 'given-back') \
            THEN intent.status ELSE j.value ->> 1 END, \
        job = coalesce(j.value ->> 2, intent.job), \
        resource = coalesce(j.value ->> 3, intent.resource), \
        answered = coalesce(intent.answered, j.value ->> 4), \
        updated = j.value ->> 5, \
        note = coalesce(j.value ->> 6, intent.note) \
        FROM json_each($1) AS j WHERE intent.call = j.value ->> 0",
    postgres: "UPDATE intent SET \
        status = CASE WHEN intent.status IN ('settled', 'given-back') \
            THEN intent.status ELSE j.value ->> 1 END, \
        job = coalesce(j.value ->> 2, intent.job), \
        resource = coalesce(j.value ->> 3, intent.resource), \
        answered = coalesce(intent.answered, (j.value ->> 4)::bigint), \
        updated = (j.value ->> 5)::bigint, \
        note = coalesce(j.value ->> 6, intent.note) \
        FROM json_array_elements($1::json) AS j(value) WHERE intent.call = j.value ->> 0",
    rows: None,
};

/// The columns of an interval, and what becomes of one that is known.
macro_rules! put_interval {
    ($known:expr) => {
        put!("interval" (
            0 id text, 1 payer text, 2 hold text, 3 usage_type number, 4 resource text,
            5 part text, 6 account text, 7 account_name text, 8 domain text, 9 project text,
            10 attributes text, 11 start_at number, 12 start_source text, 13 end_at number,
            14 end_source text
        ) $known)
    };
}

pub(super) const PUT_INTERVALS: Sql = put_interval!(keep!());
pub(super) const REPLACE_INTERVALS: Sql = put_interval!(replace!("id": payer hold usage_type
    resource part account account_name domain project attributes start_at start_source end_at
    end_source));
pub(super) const END_INTERVALS: Sql = Sql {
    sqlite: "UPDATE interval SET end_at = j.value ->> 1, end_source = j.value ->> 2 \
        FROM json_each($1) AS j WHERE interval.id = j.value ->> 0",
    postgres: "UPDATE interval SET \
        end_at = (j.value ->> 1)::bigint, end_source = j.value ->> 2 \
        FROM json_array_elements($1::json) AS j(value) WHERE interval.id = j.value ->> 0",
    rows: None,
};
pub(super) const PUT_NOTICES: Sql = put!("notice" (
    0 payer text, 1 episode text, 2 step text, 3 text text, 4 at number
) keep!());
pub(super) const PUT_META: Sql = put!("meta" (0 key text, 1 value text) replace!("key": value));

/// A page of the chain: transfers after a place, with the hash that was written.
pub(super) const CHAINED: Sql = Sql {
    sqlite: "SELECT *, seq AS place FROM transfer WHERE seq > $1 ORDER BY seq LIMIT $2",
    postgres: "SELECT t.*, s.place, s.hash FROM seal AS s JOIN transfer AS t USING (seq) \
        WHERE s.place > $1 ORDER BY s.place LIMIT $2",
    rows: None,
};

// What follows is PostgreSQL's alone: several nodes write the same books there.

/// A statement that SQLite is never asked.
const fn postgres(text: &'static str) -> Sql {
    Sql {
        sqlite: "",
        postgres: text,
        rows: None,
    }
}

/// Whose the holds are; that never changes.
pub(super) const HOLDERS: Sql = postgres(
    "SELECT id, payer FROM hold WHERE id = ANY (ARRAY(SELECT json_array_elements_text($1::json)))",
);
/// Which caps the holds passed; that never changes.
pub(super) const CAPS_OF_HOLDS: Sql = postgres(
    "SELECT h.id, c.value AS cap FROM hold AS h, json_array_elements_text(h.caps::json) AS c(value) \
     WHERE h.id = ANY (ARRAY(SELECT json_array_elements_text($1::json)))",
);
/// Whose money the transfers of commands moved; that never changes.
pub(super) const PAYERS_OF_TRANSFERS: Sql = postgres(
    "SELECT DISTINCT j.value AS id, t.payer \
     FROM json_array_elements_text($1::json) AS j(value) JOIN transfer AS t \
     ON t.id > j.value || '/' AND t.id < j.value || '0'",
);
/// The locks that are free, in the order of the array.
pub(super) const TRY_LOCK: Sql = postgres(
    "SELECT k.value AS key, pg_try_advisory_xact_lock(hashtextextended(k.value, 0)) AS got \
     FROM json_array_elements_text($1::json) AS k(value)",
);
/// All of the locks, waited for in the order of the array.
pub(super) const LOCK: Sql = postgres(
    "SELECT k.value AS key, \
     pg_advisory_xact_lock(hashtextextended(k.value, 0))::text IS NOT NULL AS got \
     FROM json_array_elements_text($1::json) AS k(value)",
);
/// Whether this node may still write; nobody ends its epoch until the group is through.
pub(super) const FENCE: Sql =
    postgres("SELECT epoch FROM node WHERE name = $1 AND epoch = $2 FOR SHARE");
/// Whether this node's epoch still runs.
pub(super) const EPOCH: Sql = postgres("SELECT epoch FROM node WHERE name = $1 AND epoch = $2");
/// A node begins: whoever wrote under this name before cannot commit any more.
pub(super) const BEGIN_EPOCH: Sql = postgres(
    "INSERT INTO node (name, epoch) VALUES ($1, 1) \
     ON CONFLICT (name) DO UPDATE SET epoch = node.epoch + 1 RETURNING epoch",
);
/// Takes a lease that is free, over or one's own; a row comes back to who has it now. Whoever
/// loses it so cannot commit any more until he begins anew. (`count` has `before` read before the
/// row is written: what a statement wrote itself, it cannot read.)
pub(super) const TAKE_LEASE: Sql = postgres(
    "WITH before AS (SELECT holder FROM lease WHERE name = $1 FOR UPDATE), \
     taken AS (INSERT INTO lease AS l (name, holder, epoch, until) \
         SELECT $1, $2, 1, now() + $3 * interval '1 microsecond' \
         FROM (SELECT count(*) FROM before) AS read \
         ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until, \
         epoch = l.epoch + CASE WHEN l.holder = excluded.holder THEN 0 ELSE 1 END \
         WHERE l.holder = excluded.holder OR l.until < now() RETURNING l.epoch), \
     fenced AS (UPDATE node SET epoch = node.epoch + 1 FROM before, taken \
         WHERE node.name = before.holder AND before.holder <> $2) \
     SELECT epoch FROM taken",
);
/// Gives a lease back, so that nobody waits for its end, and nobody is fenced.
pub(super) const LEAVE_LEASE: Sql = postgres("DELETE FROM lease WHERE name = $1 AND holder = $2");
/// The next turn of the intervals; the others wait for it until this group is through.
pub(super) const TURN_TIDE: Sql = postgres("UPDATE tide SET at = at + 1 RETURNING at");
/// The last turn that is committed.
pub(super) const TIDE: Sql = postgres("SELECT at FROM tide");
/// What changed in turns after one, up to another.
pub(super) const CHANGED: Sql =
    postgres("SELECT * FROM interval WHERE changed > $1 AND changed <= $2 ORDER BY changed, id");
/// One sealer at a time.
pub(super) const SEAL_TURN: Sql =
    postgres("SELECT pg_try_advisory_xact_lock(hashtextextended('seal', 0)) AS got");
/// The end of the sealed chain.
pub(super) const SEALED: Sql = postgres("SELECT place, hash FROM seal ORDER BY place DESC LIMIT 1");
/// Transfers that are committed and on no chain yet.
pub(super) const UNSEALED: Sql =
    postgres("SELECT t.* FROM unsealed JOIN transfer AS t USING (seq) ORDER BY seq LIMIT 10000");
/// All of those.
pub(super) const TAIL: Sql =
    postgres("SELECT t.* FROM unsealed JOIN transfer AS t USING (seq) ORDER BY seq");
/// Puts transfers on the chain.
pub(super) const PUT_SEALS: Sql = put!("seal" (
    0 place number, 1 seq number, 2 hash text
) "");
/// They are on it.
pub(super) const FORGET_UNSEALED: Sql = postgres(
    "DELETE FROM unsealed WHERE seq = ANY (ARRAY( \
     SELECT json_array_elements_text($1::json)::bigint))",
);
