-- An older program keeps nothing for rules: the next renewal gives back what the cover holds for
-- them. It finds what they start as it always did.
DROP TABLE commitment;
