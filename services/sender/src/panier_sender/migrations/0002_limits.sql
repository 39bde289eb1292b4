-- What Meta's limits need: how urgent a line is, what goes outside the 24-hour window, how fast a number may send.

ALTER TABLE message ADD COLUMN rank smallint NOT NULL DEFAULT 0;      -- 0 answers, 1 news, 2 reminders
ALTER TABLE message ADD COLUMN template text NOT NULL DEFAULT '';     -- the call to make when the window is closed
UPDATE message SET rank = CASE lane WHEN 'answer' THEN 0 WHEN 'news' THEN 1 ELSE 2 END;
DROP INDEX message_ready;
CREATE INDEX message_ready ON message (phone_number_id, rank, position) WHERE state = 'ready';

-- Only where there is one: Meta may say that the window is closed after it has accepted the message.
ALTER TABLE sent ADD COLUMN template text NOT NULL DEFAULT '';

-- What Meta told of numbers, by the digits of their display number: its webhooks say no other name of them.
CREATE TABLE number_limit (
    display text PRIMARY KEY,
    per_second integer NOT NULL,
    at timestamptz NOT NULL
);

-- Files that messages carry, and the ids under which Meta keeps them, for each number, for 30 days.
CREATE TABLE file (
    digest text PRIMARY KEY,                  -- SHA-256 of the content
    mime_type text NOT NULL,
    content bytea NOT NULL,
    wanted_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE upload (
    phone_number_id text NOT NULL,
    digest text NOT NULL,
    media_id text NOT NULL,
    uploaded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (phone_number_id, digest)
);
