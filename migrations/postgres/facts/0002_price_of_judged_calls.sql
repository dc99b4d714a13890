-- What a judged call costs by the hour, where it was priced: for the report of what only an
-- observed domain let pass.
ALTER TABLE audit ADD COLUMN per_hour BIGINT;
ALTER TABLE audit ADD COLUMN currency TEXT;
