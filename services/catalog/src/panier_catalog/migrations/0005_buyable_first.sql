-- Of more products than are looked at, those that can be bought come first. Two scans and no order: the first ends as
-- soon as it has enough, which an order by `sold_out` would not.
CREATE OR REPLACE FUNCTION found(of_shop text, query tsquery, most integer)
    RETURNS TABLE (sku text, title text, collection text, sold_out boolean, rank real)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT p.sku, p.title, p.collection, p.sold_out, ts_rank(p.search, query)
    FROM product p WHERE p.shop = of_shop AND p.search @@ query AND NOT p.sold_out
    UNION ALL
    SELECT p.sku, p.title, p.collection, p.sold_out, ts_rank(p.search, query)
    FROM product p WHERE p.shop = of_shop AND p.search @@ query AND p.sold_out
    LIMIT most;
END;
