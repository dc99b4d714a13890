-- An older program keeps gift credit in one pot; which part of it ends when stays in the backup.
DROP TABLE promo_grant;
