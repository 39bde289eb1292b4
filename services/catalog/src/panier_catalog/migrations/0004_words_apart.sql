-- What search.py takes for several words is indexed as several: the parser would keep `noir/blanc`, `Nike.Air`, `1.5L`
-- and the end of `sku-0042` as a path, a host, a number and a negative one, which nobody looks for.
CREATE OR REPLACE FUNCTION searchable(text) RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
    RETURN to_tsvector('panier_french'::regconfig, translate($1, '/.@_~-+', '       '))
        || to_tsvector('panier_english'::regconfig, translate($1, '/.@_~-+', '       '))
        || to_tsvector('panier_simple'::regconfig, translate($1, '/.@_~-+', '       '));

-- Rows that are there are made anew where it matters: a sentence's end and `t-shirt` were understood before. Readers
-- go on meanwhile; who counts stock waits, and in nobody's circle, since rows are locked in the order of theirs.
UPDATE product p SET title = p.title
FROM (SELECT shop, sku FROM product
      WHERE concat_ws(' ', title, sku, collection, brand, description) ~ '[/.@~]\S|[-+]\d'
      ORDER BY shop, sku FOR UPDATE) AS apart
WHERE p.shop = apart.shop AND p.sku = apart.sku;
