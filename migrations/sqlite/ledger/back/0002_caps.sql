-- An older program keeps to no caps; what is used of them stays in the backup.
DROP TABLE cap_share;
DROP TABLE cap;
ALTER TABLE hold DROP COLUMN caps;
