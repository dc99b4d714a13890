-- Gift credit by grant. `remaining` is what of it is neither spent nor expired; what is spent or
-- expires leaves the grant that ends soonest. `ended`: it came to its end.
CREATE TABLE promo_grant (
    payer     TEXT COLLATE "C" NOT NULL,
    id        TEXT COLLATE "C" NOT NULL,
    amount    BIGINT NOT NULL,
    remaining BIGINT NOT NULL,
    expired   BIGINT NOT NULL,
    expires   BIGINT,
    ended     BIGINT NOT NULL,
    reason    TEXT NOT NULL,
    at        BIGINT NOT NULL,
    PRIMARY KEY (payer, id)
);
CREATE INDEX promo_grant_running ON promo_grant (expires)
    WHERE ended = 0 AND expires IS NOT NULL;

-- What was given before is one grant a payer, without an end, made of the transfers.
INSERT INTO promo_grant (payer, id, amount, remaining, expired, expires, ended, reason, at)
SELECT g.payer, 'before-grants', g.granted, p.promo_available + p.promo_held, g.expired, NULL, 0,
    'granted before grants were kept apart', g.at
FROM (
    SELECT payer, min(at) AS at,
        sum(CASE WHEN debit LIKE 'seller:%' THEN amount ELSE 0 END)::bigint AS granted,
        sum(CASE WHEN credit LIKE 'seller:%' THEN amount ELSE 0 END)::bigint AS expired
    FROM transfer
    WHERE (debit LIKE 'seller:%' AND credit = 'payer:' || payer || '/promo.available')
        OR (credit LIKE 'seller:%' AND debit = 'payer:' || payer || '/promo.available')
    GROUP BY payer
) AS g JOIN payer AS p ON p.id = g.payer;
