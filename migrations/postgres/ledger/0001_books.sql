-- The same books as SQLite's, for several nodes. Text is ordered by its bytes in either database.

CREATE TABLE meta (
    key   TEXT COLLATE "C" PRIMARY KEY,
    value TEXT NOT NULL
);

-- A node's epoch: a group is committed under the epoch that its node began, or not at all.
CREATE TABLE node (
    name  TEXT COLLATE "C" PRIMARY KEY,
    epoch BIGINT NOT NULL
);

-- What one node at a time does for all: renewals, following, the ladder.
CREATE TABLE lease (
    name   TEXT COLLATE "C" PRIMARY KEY,
    holder TEXT        NOT NULL,
    epoch  BIGINT      NOT NULL,
    until  TIMESTAMPTZ NOT NULL
);

CREATE TABLE command (
    name   TEXT COLLATE "C" PRIMARY KEY,
    digest TEXT NOT NULL,
    body   TEXT
);

-- Append-only. Several nodes commit at once, so the chain of hashes is written behind them (seal).
CREATE TABLE transfer (
    seq      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id       TEXT COLLATE "C" NOT NULL UNIQUE,
    payer    TEXT COLLATE "C",
    seller   TEXT   NOT NULL,
    currency TEXT   NOT NULL,
    event    TEXT   NOT NULL,
    debit    TEXT   NOT NULL,
    credit   TEXT   NOT NULL,
    amount   BIGINT NOT NULL CHECK (amount > 0),
    at       BIGINT NOT NULL
);
CREATE INDEX transfer_of_payer ON transfer (payer, seq) WHERE payer IS NOT NULL;

-- Transfers that are on no chain yet.
CREATE TABLE unsealed (
    seq BIGINT PRIMARY KEY
);

-- The chain, in the order in which the sealer found the transfers committed.
CREATE TABLE seal (
    place BIGINT PRIMARY KEY,
    seq   BIGINT NOT NULL UNIQUE,
    hash  TEXT   NOT NULL
);

CREATE FUNCTION never_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a row of % is never changed or removed', TG_TABLE_NAME;
END $$;
CREATE TRIGGER transfer_is_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON transfer
    FOR EACH STATEMENT EXECUTE FUNCTION never_changed();
CREATE TRIGGER seal_is_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON seal
    FOR EACH STATEMENT EXECUTE FUNCTION never_changed();

CREATE TABLE payer (
    id                 TEXT COLLATE "C" PRIMARY KEY,
    seller             TEXT   NOT NULL,
    currency           TEXT   NOT NULL,
    mode               TEXT   NOT NULL,
    credit_line        BIGINT NOT NULL,
    available          BIGINT NOT NULL,
    held               BIGINT NOT NULL,
    retention          BIGINT NOT NULL,
    accrued            BIGINT NOT NULL,
    promo_available    BIGINT NOT NULL,
    promo_held         BIGINT NOT NULL,
    promo_accrued      BIGINT NOT NULL,
    holds_open         BIGINT NOT NULL,
    promo_holds_open   BIGINT NOT NULL,
    cover_target       BIGINT NOT NULL,
    promo_cover_target BIGINT NOT NULL,
    accrued_through    BIGINT NOT NULL,
    version            BIGINT NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE hold (
    id      TEXT COLLATE "C" NOT NULL,
    payer   TEXT COLLATE "C" NOT NULL,
    call    TEXT   NOT NULL,
    wallet  BIGINT NOT NULL,
    promo   BIGINT NOT NULL,
    one_off BIGINT NOT NULL,
    status  TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (id, payer)
);
CREATE INDEX hold_open ON hold (payer, id) WHERE status = 'open';

CREATE TABLE accrual (
    payer          TEXT COLLATE "C" NOT NULL,
    month          TEXT COLLATE "C" NOT NULL,
    zone           TEXT COLLATE "C" NOT NULL,
    line           TEXT COLLATE "C" NOT NULL,
    tax_group      TEXT COLLATE "C" NOT NULL,
    quantity       TEXT   NOT NULL,
    total          BIGINT NOT NULL,
    promo_total    BIGINT NOT NULL,
    invoiced       BIGINT NOT NULL,
    promo_invoiced BIGINT NOT NULL,
    PRIMARY KEY (payer, month, zone, line, tax_group)
) WITH (fillfactor = 70);

CREATE TABLE item (
    payer  TEXT COLLATE "C" NOT NULL,
    id     TEXT COLLATE "C" NOT NULL,
    amount BIGINT NOT NULL,
    open   BIGINT NOT NULL,
    due    BIGINT NOT NULL,
    at     BIGINT NOT NULL,
    PRIMARY KEY (payer, id)
);
CREATE INDEX item_open ON item (payer) WHERE open <> 0;

CREATE TABLE allocation (
    seq    BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id     TEXT COLLATE "C" NOT NULL UNIQUE,
    item   TEXT   NOT NULL,
    payer  TEXT COLLATE "C" NOT NULL,
    amount BIGINT NOT NULL,
    at     BIGINT NOT NULL
);
CREATE INDEX allocation_of_payer ON allocation (payer, seq);

CREATE TABLE document (
    id       TEXT COLLATE "C" PRIMARY KEY,
    seller   TEXT COLLATE "C" NOT NULL,
    payer    TEXT COLLATE "C" NOT NULL,
    kind     TEXT   NOT NULL,
    series   TEXT COLLATE "C" NOT NULL,
    number   BIGINT NOT NULL,
    total    BIGINT NOT NULL,
    corrects TEXT,
    body     TEXT   NOT NULL,
    at       BIGINT NOT NULL,
    UNIQUE (seller, series, number)
);
CREATE INDEX document_of_payer ON document (payer, at);
CREATE TRIGGER document_is_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON document
    FOR EACH STATEMENT EXECUTE FUNCTION never_changed();

-- One raising call: durable with its hold, before its first byte goes upstream.
CREATE TABLE intent (
    call     TEXT COLLATE "C" PRIMARY KEY,
    hold     TEXT COLLATE "C",
    payer    TEXT COLLATE "C",
    owner    TEXT   NOT NULL,
    command  TEXT   NOT NULL,
    params   TEXT   NOT NULL,
    job      TEXT COLLATE "C",
    resource TEXT COLLATE "C",
    planned  TEXT   NOT NULL,
    status   TEXT   NOT NULL,
    sent     BIGINT NOT NULL,
    answered BIGINT,
    updated  BIGINT NOT NULL,
    note     TEXT   NOT NULL
);
CREATE INDEX intent_open ON intent (call) WHERE status NOT IN ('settled', 'given-back');
CREATE INDEX intent_open_of_payer ON intent (payer) WHERE status NOT IN ('settled', 'given-back');
CREATE INDEX intent_of_job ON intent (job) WHERE job IS NOT NULL;
CREATE INDEX intent_of_resource ON intent (resource) WHERE resource IS NOT NULL;
CREATE INDEX intent_of_hold ON intent (hold) WHERE hold IS NOT NULL;

CREATE TABLE interval (
    id           TEXT COLLATE "C" PRIMARY KEY,
    payer        TEXT COLLATE "C",
    hold         TEXT COLLATE "C",
    usage_type   BIGINT NOT NULL,
    resource     TEXT COLLATE "C" NOT NULL,
    part         TEXT   NOT NULL,
    account      TEXT,
    account_name TEXT,
    domain       TEXT   NOT NULL,
    project      TEXT,
    attributes   TEXT   NOT NULL,
    start_at     BIGINT NOT NULL,
    start_source TEXT   NOT NULL,
    end_at       BIGINT,
    end_source   TEXT,
    changed      BIGINT NOT NULL
);
CREATE INDEX interval_changed ON interval (changed);
CREATE INDEX interval_open ON interval (payer) WHERE end_at IS NULL;
CREATE INDEX interval_of_payer ON interval (payer, end_at);
CREATE INDEX interval_of_resource ON interval (resource);

-- Whoever changes intervals takes the next turn: a node that decided on less than all turns before
-- decides again, and finds what it does not know by the turn in which it changed.
CREATE TABLE tide (
    at BIGINT NOT NULL
);
INSERT INTO tide VALUES (0);
CREATE FUNCTION in_this_turn() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.changed := (SELECT at FROM tide);
    RETURN NEW;
END $$;
CREATE TRIGGER interval_changes_in_a_turn BEFORE INSERT OR UPDATE ON interval
    FOR EACH ROW EXECUTE FUNCTION in_this_turn();

CREATE TABLE notice (
    payer   TEXT COLLATE "C" NOT NULL,
    episode TEXT COLLATE "C" NOT NULL,
    step    TEXT COLLATE "C" NOT NULL,
    text    TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (payer, episode, step)
);
