CREATE TABLE meta (
    key   TEXT COLLATE "C" PRIMARY KEY,
    value TEXT NOT NULL
);

-- Usage records as CloudStack gave them, by their natural key; a second reading replaces the text.
CREATE TABLE usage_record (
    key          TEXT COLLATE "C" PRIMARY KEY,
    usage_type   BIGINT NOT NULL,
    resource     TEXT   NOT NULL,
    window_start BIGINT NOT NULL,
    window_end   BIGINT NOT NULL,
    raw          TEXT   NOT NULL,
    first_read   BIGINT NOT NULL,
    last_read    BIGINT NOT NULL
);
CREATE INDEX usage_record_window ON usage_record (window_start);

CREATE TABLE audit (
    seq     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      BIGINT NOT NULL,
    call    TEXT   NOT NULL,
    command TEXT   NOT NULL,
    payer   TEXT,
    verdict TEXT   NOT NULL,
    reason  TEXT   NOT NULL
);
CREATE INDEX audit_at ON audit (at);

-- API keys: the key's hash, and what is known of it, encrypted.
CREATE TABLE key_cache (
    key_hash   TEXT COLLATE "C" PRIMARY KEY,
    ciphertext BYTEA  NOT NULL,
    at         BIGINT NOT NULL
);

CREATE TABLE snapshot (
    name TEXT COLLATE "C" PRIMARY KEY,
    body TEXT   NOT NULL,
    at   BIGINT NOT NULL
);
