-- Money promised for several calls together. Each line of `lines`, a JSON array, has a hold of its
-- own; what became of a line is the status of that hold.
CREATE TABLE bundle (
    id         TEXT COLLATE "C" PRIMARY KEY,
    payer      TEXT COLLATE "C" NOT NULL,
    account    TEXT   NOT NULL,
    client_key TEXT   NOT NULL,
    request    TEXT   NOT NULL,
    lines      TEXT   NOT NULL,
    at         BIGINT NOT NULL,
    expires    BIGINT NOT NULL,
    ended      BIGINT
);
CREATE INDEX bundle_open ON bundle (payer) WHERE ended IS NULL;
CREATE INDEX bundle_due ON bundle (expires) WHERE ended IS NULL;
CREATE INDEX bundle_of_account ON bundle (account, at);
