-- An older program stops and tells nobody; open episodes stay in the backup.
DROP TABLE outbox;
DROP TABLE ladder_action;
DROP TABLE episode;
