-- When messages with buttons that change a cart were sent, by conversation: a memory of panier_common.shown.
CREATE TABLE shown (
    conversation text PRIMARY KEY,
    memory bytea NOT NULL
);
