-- Orders with their history, what checkout remembers of a conversation, and money that was reported.
-- Documents are whole rows as JSON; what is searched, counted or checked stands beside them as a column.

CREATE TABLE dialogue (
    conversation text PRIMARY KEY,
    document jsonb NOT NULL            -- the draft, the open question, the last message's buttons, the floor
);

CREATE TABLE orders (
    order_id text PRIMARY KEY,
    placed_at timestamptz NOT NULL,
    document jsonb NOT NULL,
    conversation text NOT NULL GENERATED ALWAYS AS (document ->> 'conversation') STORED,
    shop text NOT NULL GENERATED ALWAYS AS (document ->> 'shop') STORED,
    number text NOT NULL GENERATED ALWAYS AS (document ->> 'number') STORED,
    state text NOT NULL GENERATED ALWAYS AS (document ->> 'state') STORED,
    total_minor bigint NOT NULL GENERATED ALWAYS AS ((document ->> 'total_minor')::bigint) STORED,
    paid_minor bigint NOT NULL GENERATED ALWAYS AS ((document ->> 'paid_minor')::bigint) STORED,
    UNIQUE (shop, number),
    CHECK (paid_minor IN (0, total_minor))
);
CREATE INDEX orders_of_shop ON orders (shop, placed_at);
CREATE INDEX orders_of_conversation ON orders (conversation, placed_at DESC);

-- How many orders a shop has had: the next one's number follows from it. Locked while numbers are given.
CREATE TABLE order_serial (
    shop text PRIMARY KEY,
    next bigint NOT NULL DEFAULT 0
);

CREATE TABLE order_history (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id text NOT NULL,
    at timestamptz NOT NULL,
    what text NOT NULL,
    by text NOT NULL
);
CREATE INDEX order_history_of_order ON order_history (order_id, id);

-- Every notification of a payment provider, for good: the same id again has no effect.
CREATE TABLE payment_notification (
    provider text NOT NULL,
    notification_id text NOT NULL,
    order_id text NOT NULL,
    state text NOT NULL,
    minor bigint NOT NULL,
    currency text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (provider, notification_id)
);

-- Money that is not a sale. The conversation is null when the order is unknown.
CREATE TABLE payment_problem (
    provider text NOT NULL,
    notification_id text NOT NULL,
    order_id text NOT NULL,
    conversation text,
    reason text NOT NULL,
    minor bigint NOT NULL,
    currency text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (provider, notification_id)
);
CREATE INDEX payment_problem_of_order ON payment_problem (order_id);

-- What became of a command of a person, by its idempotency key. The code is empty when it was done.
CREATE TABLE command_result (
    key text PRIMARY KEY,
    order_id text NOT NULL,
    at timestamptz NOT NULL,
    code text NOT NULL,
    detail text NOT NULL,
    hint text NOT NULL
);
