-- What the runner keeps in every service's database: who works a partition, how far it has read, what it has
-- yet to publish, what is due later, and what nobody could digest.

CREATE TABLE home (
    loop text NOT NULL,
    partition integer NOT NULL,
    epoch bigint NOT NULL DEFAULT 0,   -- one more for each owner; a former owner's transactions fail
    seq bigint NOT NULL DEFAULT 0,     -- the last number given to an outbox row of this home
    PRIMARY KEY (loop, partition)
);

CREATE TABLE position (
    loop text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (loop, topic, partition)
);

-- The last number heard from each home of each producer: what is not higher was published twice.
CREATE TABLE heard (
    loop text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    source text NOT NULL,
    n bigint NOT NULL,
    PRIMARY KEY (loop, topic, partition, source)
);

CREATE TABLE outbox (
    loop text NOT NULL,
    home integer NOT NULL,
    n bigint NOT NULL,
    topic text NOT NULL,
    key text NOT NULL,
    headers bytea NOT NULL,
    value bytea,                       -- null: a tombstone
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (loop, home, n)
);

CREATE TABLE timer (
    loop text NOT NULL,
    home integer NOT NULL,
    key text NOT NULL,
    due_at timestamptz NOT NULL,
    ce_type text NOT NULL,
    value bytea NOT NULL,
    traceparent text,
    PRIMARY KEY (loop, home, key)
);
CREATE INDEX timer_due ON timer (loop, due_at);

CREATE TABLE dead_letter (
    id uuid PRIMARY KEY,
    loop text NOT NULL,
    home integer NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    key text NOT NULL,
    headers bytea NOT NULL,
    value bytea,
    reason text NOT NULL,
    trace_id text,
    at timestamptz NOT NULL DEFAULT now(),
    replay_at timestamptz               -- a person asked for it to be tried again
);
CREATE INDEX dead_letter_replay ON dead_letter (loop, home) WHERE replay_at IS NOT NULL;

-- What a loop over `inbound` remembers of a conversation: its language, and the messages it has had.
CREATE TABLE conversation (
    loop text NOT NULL,
    conversation text NOT NULL,
    language text,
    memory bytea NOT NULL DEFAULT '',
    PRIMARY KEY (loop, conversation)
);
