CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Commands that were applied, by the name that their cause gave them. `body` is kept for rare ones.
CREATE TABLE command (
    name   TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    body   TEXT
) STRICT, WITHOUT ROWID;

-- Append-only; `hash` chains each row to the one before it.
CREATE TABLE transfer (
    seq      INTEGER PRIMARY KEY,
    id       TEXT    NOT NULL UNIQUE,
    payer    TEXT,
    seller   TEXT    NOT NULL,
    currency TEXT    NOT NULL,
    event    TEXT    NOT NULL,
    debit    TEXT    NOT NULL,
    credit   TEXT    NOT NULL,
    amount   INTEGER NOT NULL CHECK (amount > 0),
    at       INTEGER NOT NULL,
    hash     TEXT    NOT NULL
) STRICT;
CREATE INDEX transfer_of_payer ON transfer (payer, seq) WHERE payer IS NOT NULL;
CREATE TRIGGER transfer_is_never_changed BEFORE UPDATE ON transfer
    BEGIN SELECT RAISE(ABORT, 'a transfer is never changed'); END;
CREATE TRIGGER transfer_is_never_removed BEFORE DELETE ON transfer
    BEGIN SELECT RAISE(ABORT, 'a transfer is never removed'); END;

CREATE TABLE payer (
    id                 TEXT PRIMARY KEY,
    seller             TEXT    NOT NULL,
    currency           TEXT    NOT NULL,
    mode               TEXT    NOT NULL,
    credit_line        INTEGER NOT NULL,
    available          INTEGER NOT NULL,
    held               INTEGER NOT NULL,
    retention          INTEGER NOT NULL,
    accrued            INTEGER NOT NULL,
    promo_available    INTEGER NOT NULL,
    promo_held         INTEGER NOT NULL,
    promo_accrued      INTEGER NOT NULL,
    holds_open         INTEGER NOT NULL,
    promo_holds_open   INTEGER NOT NULL,
    cover_target       INTEGER NOT NULL,
    promo_cover_target INTEGER NOT NULL,
    accrued_through    INTEGER NOT NULL,
    version            INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE hold (
    id      TEXT    NOT NULL,
    payer   TEXT    NOT NULL,
    call    TEXT    NOT NULL,
    wallet  INTEGER NOT NULL,
    promo   INTEGER NOT NULL,
    one_off INTEGER NOT NULL,
    status  TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (id, payer)
) STRICT, WITHOUT ROWID;
CREATE INDEX hold_open ON hold (payer, id) WHERE status = 'open';

CREATE TABLE accrual (
    payer          TEXT    NOT NULL,
    month          TEXT    NOT NULL,
    zone           TEXT    NOT NULL,
    line           TEXT    NOT NULL,
    tax_group      TEXT    NOT NULL,
    quantity       TEXT    NOT NULL,
    total          INTEGER NOT NULL,
    promo_total    INTEGER NOT NULL,
    invoiced       INTEGER NOT NULL,
    promo_invoiced INTEGER NOT NULL,
    PRIMARY KEY (payer, month, zone, line, tax_group)
) STRICT, WITHOUT ROWID;

CREATE TABLE item (
    payer  TEXT    NOT NULL,
    id     TEXT    NOT NULL,
    amount INTEGER NOT NULL,
    open   INTEGER NOT NULL,
    due    INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (payer, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX item_open ON item (payer) WHERE open <> 0;

CREATE TABLE allocation (
    seq    INTEGER PRIMARY KEY,
    id     TEXT    NOT NULL UNIQUE,
    item   TEXT    NOT NULL,
    payer  TEXT    NOT NULL,
    amount INTEGER NOT NULL,
    at     INTEGER NOT NULL
) STRICT;
CREATE INDEX allocation_of_payer ON allocation (payer, seq);

CREATE TABLE document (
    id       TEXT PRIMARY KEY,
    seller   TEXT    NOT NULL,
    payer    TEXT    NOT NULL,
    kind     TEXT    NOT NULL,
    series   TEXT    NOT NULL,
    number   INTEGER NOT NULL,
    total    INTEGER NOT NULL,
    corrects TEXT,
    body     TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    UNIQUE (seller, series, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX document_of_payer ON document (payer, at);
CREATE TRIGGER document_is_never_changed BEFORE UPDATE ON document
    BEGIN SELECT RAISE(ABORT, 'an issued document is never changed'); END;
CREATE TRIGGER document_is_never_removed BEFORE DELETE ON document
    BEGIN SELECT RAISE(ABORT, 'an issued document is never removed'); END;

-- One raising call: durable with its hold, before its first byte goes upstream.
CREATE TABLE intent (
    call     TEXT PRIMARY KEY,
    hold     TEXT,
    payer    TEXT,
    owner    TEXT    NOT NULL,
    command  TEXT    NOT NULL,
    params   TEXT    NOT NULL,
    job      TEXT,
    resource TEXT,
    planned  TEXT    NOT NULL,
    status   TEXT    NOT NULL,
    sent     INTEGER NOT NULL,
    answered INTEGER,
    updated  INTEGER NOT NULL,
    note     TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX intent_open ON intent (call) WHERE status NOT IN ('settled', 'given-back');
CREATE INDEX intent_of_job ON intent (job) WHERE job IS NOT NULL;
CREATE INDEX intent_of_resource ON intent (resource) WHERE resource IS NOT NULL;
CREATE INDEX intent_of_hold ON intent (hold) WHERE hold IS NOT NULL;

CREATE TABLE interval (
    id           TEXT PRIMARY KEY,
    payer        TEXT,
    hold         TEXT,
    usage_type   INTEGER NOT NULL,
    resource     TEXT    NOT NULL,
    part         TEXT    NOT NULL,
    account      TEXT,
    account_name TEXT,
    domain       TEXT    NOT NULL,
    project      TEXT,
    attributes   TEXT    NOT NULL,
    start_at     INTEGER NOT NULL,
    start_source TEXT    NOT NULL,
    end_at       INTEGER,
    end_source   TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX interval_open ON interval (payer) WHERE end_at IS NULL;
CREATE INDEX interval_of_payer ON interval (payer, end_at);
CREATE INDEX interval_of_resource ON interval (resource);

CREATE TABLE notice (
    payer   TEXT    NOT NULL,
    episode TEXT    NOT NULL,
    step    TEXT    NOT NULL,
    text    TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (payer, episode, step)
) STRICT, WITHOUT ROWID;
