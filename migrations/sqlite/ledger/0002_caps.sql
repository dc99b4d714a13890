-- The caps that a hold passed, a JSON array of their ids: its resource counts there until it ends.
ALTER TABLE hold ADD COLUMN caps TEXT NOT NULL DEFAULT '[]';

-- What is used of a cap, a row a period; the newest counts. `held` goes on from row to row.
CREATE TABLE cap (
    id       TEXT    NOT NULL,
    start_at INTEGER NOT NULL,
    held     INTEGER NOT NULL,
    accrued  INTEGER NOT NULL,
    PRIMARY KEY (id, start_at)
) STRICT, WITHOUT ROWID;

-- Each payer's part of it, without his open holds; `metered` and `one_off` are of one period.
CREATE TABLE cap_share (
    cap      TEXT    NOT NULL,
    payer    TEXT    NOT NULL,
    start_at INTEGER NOT NULL,
    covered  INTEGER NOT NULL,
    metered  INTEGER NOT NULL,
    one_off  INTEGER NOT NULL,
    PRIMARY KEY (cap, payer)
) STRICT, WITHOUT ROWID;
CREATE INDEX cap_share_of_payer ON cap_share (payer);
