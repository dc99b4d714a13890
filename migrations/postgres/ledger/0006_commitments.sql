-- Rules that start things without a call: what of them does not run yet is kept in the cover. `rule`
-- and `members` are JSON; `about` is the volume or the VM of a rule whose pieces name only that.
CREATE TABLE commitment (
    id      TEXT COLLATE "C" PRIMARY KEY,
    payer   TEXT COLLATE "C" NOT NULL,
    call    TEXT   NOT NULL,
    about   TEXT   NOT NULL,
    rule    TEXT   NOT NULL,
    members TEXT   NOT NULL,
    since   BIGINT NOT NULL,
    ended   BIGINT
);
CREATE INDEX commitment_open ON commitment (payer) WHERE ended IS NULL;
CREATE INDEX commitment_about ON commitment (about) WHERE ended IS NULL;
