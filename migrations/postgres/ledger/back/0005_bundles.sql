-- An older program knows no bundles. What a line still holds is shown to it as a call that somebody
-- has to decide on the operators' page: nothing was sent for it, so it is given back.
INSERT INTO intent (call, hold, payer, owner, command, params, job, resource, planned, status, sent,
    answered, updated, note)
SELECT 'cal_' || substr(h.id, 5), h.id, b.payer, b.account, l.value ->> 'command',
    l.value ->> 'params', NULL, NULL, '{}', 'unresolved', b.at, NULL, b.at,
    'a line of bundle ' || b.id || ', which this release does not know: nothing was sent, give it back'
FROM bundle AS b, json_array_elements(b.lines::json) AS l(value), hold AS h
WHERE h.id = l.value ->> 'hold' AND h.payer = b.payer AND h.status = 'open';
UPDATE hold SET status = 'given-back' WHERE status = 'drawn';
DROP TABLE bundle;
