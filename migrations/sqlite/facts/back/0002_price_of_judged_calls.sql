ALTER TABLE audit DROP COLUMN currency;
ALTER TABLE audit DROP COLUMN per_hour;
