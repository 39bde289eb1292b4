-- Conversations as people read them. Two loops write here; no row is changed by both: `inbox`,
-- `inbound_message` and `sent_message` by a conversation's home, `outgoing_message` and `delivery` by a number's.

CREATE TABLE inbox (
    conversation text PRIMARY KEY,
    phone_number_id text NOT NULL,
    shop text,                          -- null: a number of no shop
    user_id text,
    wa_id text,
    person boolean NOT NULL,            -- a person of the shop is answering
    version bigint NOT NULL,            -- one more each time the floor changes hands
    unanswered_since timestamptz,       -- the first message that waits for that person
    told_at timestamptz,                -- when the customer was last told what can be read here
    last_at timestamptz                 -- the newest message
);
CREATE INDEX inbox_user ON inbox (phone_number_id, user_id);
CREATE INDEX inbox_phone ON inbox (phone_number_id, wa_id);
CREATE INDEX inbox_person ON inbox (shop, unanswered_since) WHERE person;

CREATE TABLE inbound_message (
    id uuid PRIMARY KEY,
    conversation text NOT NULL,
    place bigint NOT NULL,              -- offset on its topic: the order among messages of one second
    wamid text NOT NULL,
    kind text NOT NULL,
    text text NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX inbound_message_conversation ON inbound_message (conversation, at);

CREATE TABLE sent_message (
    id uuid PRIMARY KEY,
    wamid text NOT NULL,
    reached smallint NOT NULL           -- what the sender told: sent or failed (state.py)
);

CREATE TABLE outgoing_message (
    id uuid PRIMARY KEY,
    conversation text NOT NULL,
    place bigint NOT NULL,
    kind text NOT NULL,
    text text NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX outgoing_message_conversation ON outgoing_message (conversation, at);

CREATE TABLE delivery (
    phone_number_id text NOT NULL,
    wamid text NOT NULL,
    reached smallint NOT NULL,          -- the furthest that Meta told
    PRIMARY KEY (phone_number_id, wamid)
);
