CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Usage records as CloudStack gave them, by their natural key; a second reading replaces the text.
CREATE TABLE usage_record (
    key          TEXT PRIMARY KEY,
    usage_type   INTEGER NOT NULL,
    resource     TEXT    NOT NULL,
    window_start INTEGER NOT NULL,
    window_end   INTEGER NOT NULL,
    raw          TEXT    NOT NULL,
    first_read   INTEGER NOT NULL,
    last_read    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_record_window ON usage_record (window_start);

CREATE TABLE audit (
    seq     INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    call    TEXT    NOT NULL,
    command TEXT    NOT NULL,
    payer   TEXT,
    verdict TEXT    NOT NULL,
    reason  TEXT    NOT NULL
) STRICT;
CREATE INDEX audit_at ON audit (at);

-- API keys: the key's hash, and what is known of it, encrypted.
CREATE TABLE key_cache (
    key_hash   TEXT PRIMARY KEY,
    ciphertext BLOB    NOT NULL,
    at         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE snapshot (
    name TEXT PRIMARY KEY,
    body TEXT    NOT NULL,
    at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
