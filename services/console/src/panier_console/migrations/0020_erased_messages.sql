-- Which of our messages were to customers who are forgotten, by our own ids: what is still told of them is not kept.
CREATE TABLE erased_message (
    id uuid PRIMARY KEY,
    erased_at timestamptz NOT NULL DEFAULT now()
);

-- Where what is older than it is to be kept begins: rows come nearly in order, and such an index is next to nothing.
CREATE INDEX inbound_message_age ON inbound_message USING brin (at);
CREATE INDEX outgoing_message_age ON outgoing_message USING brin (at);
