-- A payer's run towards the end of his money, named by the billing instant at which it began.
CREATE TABLE episode (
    payer TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    stopping BIGINT,
    stopped  BIGINT,
    ended    BIGINT,
    PRIMARY KEY (payer, name)
);
CREATE INDEX episode_open ON episode (payer, name) WHERE ended IS NULL;

-- What is done to a machine in an episode, once: durable before its first byte goes out.
CREATE TABLE ladder_action (
    id       TEXT COLLATE "C" PRIMARY KEY,
    payer TEXT COLLATE "C"    NOT NULL,
    episode TEXT COLLATE "C"    NOT NULL,
    step     TEXT    NOT NULL,
    resource TEXT    NOT NULL,
    name TEXT COLLATE "C"    NOT NULL,
    per_hour BIGINT NOT NULL,
    status   TEXT    NOT NULL,
    tries    BIGINT NOT NULL,
    job      TEXT    NOT NULL,
    since    BIGINT NOT NULL,
    at       BIGINT NOT NULL,
    note     TEXT    NOT NULL
);
CREATE INDEX ladder_action_of_episode ON ladder_action (payer, episode);
CREATE INDEX ladder_action_open ON ladder_action (payer) WHERE status NOT IN ('done', 'cancelled');

-- Notices on their way to somebody, each under an id that says for whom and about what.
CREATE TABLE outbox (
    id      TEXT COLLATE "C" PRIMARY KEY,
    payer TEXT COLLATE "C"    NOT NULL,
    episode TEXT COLLATE "C"    NOT NULL,
    step    TEXT    NOT NULL,
    channel TEXT    NOT NULL,
    target  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    body    TEXT    NOT NULL,
    status  TEXT    NOT NULL,
    tries   BIGINT NOT NULL,
    since   BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    note    TEXT    NOT NULL
);
CREATE INDEX outbox_waiting ON outbox (at) WHERE status = 'waiting';
CREATE INDEX outbox_of_payer ON outbox (payer, since);
