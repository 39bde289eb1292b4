-- Shops, products with their stock, the holds of orders on it, and what search needs.
-- pg_trgm and unaccent are trusted extensions; where the service's role may not create them, the
-- administrator of the database has done it before.
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS unaccent;

-- unaccent is not marked immutable, since its rules could be edited: nobody does, and an index needs it.
CREATE FUNCTION folded(text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
    RETURN unaccent('unaccent'::regdictionary, lower($1));

-- One configuration a language: accents are dropped first, so that people may leave them out.
CREATE TEXT SEARCH CONFIGURATION panier_french (COPY = french);
ALTER TEXT SEARCH CONFIGURATION panier_french
    ALTER MAPPING FOR hword, hword_part, word WITH unaccent, french_stem;
CREATE TEXT SEARCH CONFIGURATION panier_english (COPY = english);
ALTER TEXT SEARCH CONFIGURATION panier_english
    ALTER MAPPING FOR hword, hword_part, word WITH unaccent, english_stem;
CREATE TEXT SEARCH CONFIGURATION panier_simple (COPY = simple);
ALTER TEXT SEARCH CONFIGURATION panier_simple
    ALTER MAPPING FOR hword, hword_part, word WITH unaccent, simple;

-- A text under every configuration: which language a feed is written in, nobody says.
CREATE FUNCTION searchable(text) RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
    RETURN to_tsvector('panier_french'::regconfig, $1)
        || to_tsvector('panier_english'::regconfig, $1)
        || to_tsvector('panier_simple'::regconfig, $1);

CREATE TABLE shop (
    shop text COLLATE "C" PRIMARY KEY,
    version integer NOT NULL,
    configured jsonb NOT NULL,          -- the ShopConfigured event of this version
    stocked boolean NOT NULL DEFAULT false  -- a feed was imported to its end
);

CREATE TABLE product (
    shop text COLLATE "C" NOT NULL,     -- "C": Python and PostgreSQL lock rows in the same order
    sku text COLLATE "C" NOT NULL,
    version integer NOT NULL,
    title text NOT NULL,
    description text NOT NULL,
    collection text NOT NULL,
    brand text NOT NULL,
    price_minor bigint NOT NULL CHECK (price_minor >= 0),
    currency text NOT NULL,
    link text NOT NULL,
    image_link text NOT NULL,
    meta_id text,                       -- Meta's number of the product, where the feed's link tells it
    offered boolean NOT NULL,           -- what the feed says of its availability
    loaded integer,                     -- null: the shop counts no stock of it
    reserved integer NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    sold integer NOT NULL DEFAULT 0 CHECK (sold >= 0),
    sold_out boolean GENERATED ALWAYS AS
        (NOT offered OR (loaded IS NOT NULL AND reserved + sold >= loaded)) STORED,
    names text GENERATED ALWAYS AS (folded(title)) STORED,  -- to be put in alphabetical order
    search tsvector GENERATED ALWAYS AS (
        setweight(searchable(title || ' ' || sku), 'A')
        || setweight(searchable(collection || ' ' || brand), 'B')
        || setweight(searchable(description), 'C')) STORED,
    PRIMARY KEY (shop, sku),
    CHECK (reserved + sold <= loaded)
) WITH (fillfactor = 80);               -- counting stock then rewrites a row on its own page
CREATE INDEX product_search ON product USING gin (search);
CREATE INDEX product_collection ON product (shop, collection);
CREATE INDEX product_meta_id ON product (shop, meta_id) WHERE meta_id IS NOT NULL;

-- The words of a shop's titles, collections and brands, folded: what a misspelt word may have meant. A word stays
-- when its last product goes, and then leads to nothing.
CREATE TABLE vocabulary (
    shop text COLLATE "C" NOT NULL,
    word text COLLATE "C" NOT NULL,
    PRIMARY KEY (shop, word)
);
CREATE INDEX vocabulary_word ON vocabulary USING gin (word gin_trgm_ops);

-- Products of a shop that a query finds, `most` of them, with how well it does.
CREATE FUNCTION found(of_shop text, query tsquery, most integer)
    RETURNS TABLE (sku text, title text, collection text, sold_out boolean, rank real)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT p.sku, p.title, p.collection, p.sold_out, ts_rank(p.search, query)
    FROM product p WHERE p.shop = of_shop AND p.search @@ query LIMIT most;
END;

-- What an order holds, or held: kept for good, so that a request seen again cannot reserve again.
CREATE TABLE hold (
    order_id text PRIMARY KEY,
    shop text NOT NULL,
    state text NOT NULL CHECK (state IN ('reserved', 'refused', 'sold', 'released')),
    request text NOT NULL,              -- the id of the StockRequested it answers
    quantities jsonb NOT NULL,          -- [[sku, quantity], …]
    refusal jsonb                       -- the StockRefused event of a refused one
);
