-- What a restored database must not do again: decisions of the time since its backup that are on the topics already.

CREATE TABLE already (
    loop text NOT NULL,
    home integer NOT NULL,
    kind text NOT NULL CHECK (kind IN ('published', 'done')),  -- an event of ours; a record whose work outside was done
    id text NOT NULL,                                          -- its ce_id
    restored_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (loop, home, kind, id)
);

-- A timer's events have their ids from what set it, so that a decision made again makes the same ids again.
ALTER TABLE timer ADD COLUMN cause text;
