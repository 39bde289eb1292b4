-- When the customer was last told that a person is coming; null since a person was called.
ALTER TABLE inbox ADD COLUMN coming_at timestamptz;
