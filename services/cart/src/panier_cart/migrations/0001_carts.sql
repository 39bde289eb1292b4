-- One cart per conversation, and the products it is priced by.

CREATE TABLE cart (
    conversation text PRIMARY KEY,
    phone_number_id text NOT NULL,
    shop text NOT NULL,
    user_id text,
    wa_id text,
    currency text NOT NULL,
    cart_id text NOT NULL,              -- new each time lines come into an empty cart; '' before the first
    version bigint NOT NULL,            -- one more with each change, also across cart ids
    lines jsonb NOT NULL,
    note text NOT NULL,
    last_order text,                    -- the last order whose lines were taken out
    waiting jsonb NOT NULL,             -- asks put off until the catalogue had time to tell
    shown_at timestamptz,
    updated_at timestamptz
);
CREATE INDEX cart_user ON cart (phone_number_id, user_id);
CREATE INDEX cart_phone ON cart (phone_number_id, wa_id);

CREATE TABLE product (
    shop text NOT NULL,
    sku text NOT NULL,
    version bigint NOT NULL,            -- an older one is ignored
    title text NOT NULL,
    price_minor bigint NOT NULL,
    currency text NOT NULL,
    sold_out boolean NOT NULL,
    PRIMARY KEY (shop, sku)
);
