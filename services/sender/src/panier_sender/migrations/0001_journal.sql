-- The send journal: what is still to be sent, what was sent lately, and when customers last wrote.

CREATE TABLE message (
    id text PRIMARY KEY,                     -- of the MessageRequested; Meta gives it back in statuses
    position bigint GENERATED ALWAYS AS IDENTITY,
    home integer NOT NULL,
    conversation text NOT NULL,
    phone_number_id text NOT NULL,
    kind text NOT NULL,
    lane text NOT NULL,
    origin text NOT NULL,
    body text NOT NULL,
    buttons text NOT NULL,
    requested_at timestamptz NOT NULL,
    answers_at timestamptz,
    traceparent text,
    state text NOT NULL CHECK (state IN ('queued', 'ready', 'claimed', 'delayed', 'doubt')),
    attempt integer NOT NULL,
    failures integer NOT NULL,
    claimed_at timestamptz,
    proof text NOT NULL
);
CREATE INDEX message_line ON message (conversation, position);
-- Answers before news and reminders.
CREATE INDEX message_ready ON message (phone_number_id, (lane <> 'answer'), position) WHERE state = 'ready';
CREATE INDEX message_claimed ON message (home) WHERE state IN ('claimed', 'doubt');
-- One call at a time to a customer, whatever the code believes.
CREATE UNIQUE INDEX message_one_call ON message (conversation) WHERE state IN ('claimed', 'doubt');

-- Messages that Meta accepted: a status `failed` may still come, until Meta stops repeating.
CREATE TABLE sent (
    id text PRIMARY KEY,
    home integer NOT NULL,
    conversation text NOT NULL,
    phone_number_id text NOT NULL,
    kind text NOT NULL,
    origin text NOT NULL,
    wamid text NOT NULL,
    sent_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX sent_age ON sent (home, sent_at);

-- When a customer last wrote, and whether they said stop.
CREATE TABLE conversation_window (
    conversation text PRIMARY KEY,
    last_message_at timestamptz,
    stopped boolean NOT NULL
);
