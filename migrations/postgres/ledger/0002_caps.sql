-- The caps that a hold passed, a JSON array of their ids: its resource counts there until it ends.
ALTER TABLE hold ADD COLUMN caps TEXT NOT NULL DEFAULT '[]';

-- What is used of a cap, a row a period; the newest counts. `held` goes on from row to row.
CREATE TABLE cap (
    id       TEXT COLLATE "C" NOT NULL,
    start_at BIGINT NOT NULL,
    held     BIGINT NOT NULL,
    accrued  BIGINT NOT NULL,
    PRIMARY KEY (id, start_at)
);

-- Each payer's part of it, without his open holds; `metered` and `one_off` are of one period.
CREATE TABLE cap_share (
    cap      TEXT COLLATE "C" NOT NULL,
    payer    TEXT COLLATE "C" NOT NULL,
    start_at BIGINT NOT NULL,
    covered  BIGINT NOT NULL,
    metered  BIGINT NOT NULL,
    one_off  BIGINT NOT NULL,
    PRIMARY KEY (cap, payer)
);
CREATE INDEX cap_share_of_payer ON cap_share (payer);
