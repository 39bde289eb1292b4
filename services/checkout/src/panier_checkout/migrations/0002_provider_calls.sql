-- What payment providers reached over the network are still to be asked: kept with the decision that wants it,
-- deleted with the decision on its answer. One row an order and kind, however often it is asked.
CREATE TABLE provider_call (
    order_id text NOT NULL,
    what text NOT NULL CHECK (what IN ('open', 'close')),
    home int NOT NULL,                 -- of the conversation: its owner makes the call
    conversation text NOT NULL,
    provider text NOT NULL,
    session_id text NOT NULL,          -- the provider's; empty until there is one
    minor bigint NOT NULL,
    currency text NOT NULL,
    traceparent text,
    asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts int NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT clock_timestamp(),  -- claimed, or put off, until then
    PRIMARY KEY (order_id, what)
);
CREATE INDEX provider_call_due ON provider_call (home, due_at);
