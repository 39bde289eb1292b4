-- Dead letters as people work on them: mended, tried again, dropped, and by whom. And how many there may be.

ALTER TABLE dead_letter
    ADD COLUMN edited bytea,                            -- what is tried instead of `value`, which stays
    ADD COLUMN failures integer NOT NULL DEFAULT 1,
    ADD COLUMN bytes integer NOT NULL DEFAULT 0,        -- of the record's value
    ADD COLUMN is_whole boolean NOT NULL DEFAULT true;  -- false: there were too many, the value is in the topic alone
UPDATE dead_letter SET bytes = coalesce(length(value), 0);

-- How much is kept, so that nobody has to count: kept true by triggers, whoever adds or deletes.
CREATE TABLE dead_letter_total (
    loop text NOT NULL,
    home integer NOT NULL,
    letters bigint NOT NULL,
    bytes bigint NOT NULL,
    PRIMARY KEY (loop, home)
);
INSERT INTO dead_letter_total SELECT loop, home, count(*), sum(bytes) FROM dead_letter GROUP BY loop, home;

CREATE FUNCTION count_dead_letters() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    sign integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    INSERT INTO dead_letter_total AS total (loop, home, letters, bytes)
    SELECT loop, home, sign * count(*), sign * coalesce(sum(changed.bytes) FILTER (WHERE is_whole), 0)
    FROM changed GROUP BY loop, home ORDER BY loop, home
    ON CONFLICT (loop, home) DO UPDATE
        SET letters = total.letters + excluded.letters, bytes = total.bytes + excluded.bytes;
    RETURN NULL;
END $$;
CREATE TRIGGER dead_letter_added AFTER INSERT ON dead_letter
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_dead_letters();
CREATE TRIGGER dead_letter_gone AFTER DELETE ON dead_letter
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_dead_letters();

-- Who did what to which, kept for good: it holds nothing of the record but its place and why it failed.
CREATE TABLE dead_letter_act (
    n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    letter uuid NOT NULL,
    act text NOT NULL CHECK (act IN ('read', 'edited', 'replayed', 'dropped')),
    by text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    loop text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    reason text NOT NULL,
    trace_id text
);
CREATE INDEX dead_letter_act_letter ON dead_letter_act (letter, n);
