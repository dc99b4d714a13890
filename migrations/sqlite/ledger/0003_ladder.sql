-- A payer's run towards the end of his money, named by the billing instant at which it began.
CREATE TABLE episode (
    payer    TEXT NOT NULL,
    name     TEXT NOT NULL,
    stopping INTEGER,
    stopped  INTEGER,
    ended    INTEGER,
    PRIMARY KEY (payer, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX episode_open ON episode (payer, name) WHERE ended IS NULL;

-- What is done to a machine in an episode, once: durable before its first byte goes out.
CREATE TABLE ladder_action (
    id       TEXT PRIMARY KEY,
    payer    TEXT    NOT NULL,
    episode  TEXT    NOT NULL,
    step     TEXT    NOT NULL,
    resource TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    per_hour INTEGER NOT NULL,
    status   TEXT    NOT NULL,
    tries    INTEGER NOT NULL,
    job      TEXT    NOT NULL,
    since    INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    note     TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX ladder_action_of_episode ON ladder_action (payer, episode);
CREATE INDEX ladder_action_open ON ladder_action (payer) WHERE status NOT IN ('done', 'cancelled');

-- Notices on their way to somebody, each under an id that says for whom and about what.
CREATE TABLE outbox (
    id      TEXT PRIMARY KEY,
    payer   TEXT    NOT NULL,
    episode TEXT    NOT NULL,
    step    TEXT    NOT NULL,
    channel TEXT    NOT NULL,
    target  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    body    TEXT    NOT NULL,
    status  TEXT    NOT NULL,
    tries   INTEGER NOT NULL,
    since   INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    note    TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX outbox_waiting ON outbox (at) WHERE status = 'waiting';
CREATE INDEX outbox_of_payer ON outbox (payer, since);
