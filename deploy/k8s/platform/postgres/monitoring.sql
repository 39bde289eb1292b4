-- What monitoring may know of a service's database: counts and ages, never a row. Run once in each, by a superuser.
--
-- The functions belong to the database's owner and run with that role's rights; pg_monitor may call them and sees
-- no table. They are written so that they can be made before the service's migrations have run.

SELECT set_config('role', pg_get_userbyid(datdba), false) FROM pg_database WHERE datname = current_database();

CREATE SCHEMA IF NOT EXISTS monitoring;
GRANT USAGE ON SCHEMA monitoring TO pg_monitor;

CREATE OR REPLACE FUNCTION monitoring.outbox() RETURNS TABLE (loop text, batches bigint, age_seconds double precision)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF to_regclass('outbox') IS NOT NULL THEN
        RETURN QUERY SELECT o.loop, count(*), extract(epoch FROM now() - min(o.at))::double precision
            FROM outbox o GROUP BY o.loop;
    END IF;
END $$;

CREATE OR REPLACE FUNCTION monitoring.dead_letters()
    RETURNS TABLE (loop text, waiting bigint, oldest_seconds double precision)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF to_regclass('dead_letter') IS NOT NULL THEN
        RETURN QUERY SELECT d.loop, count(*), extract(epoch FROM now() - min(d.at))::double precision
            FROM dead_letter d GROUP BY d.loop;
    END IF;
END $$;

CREATE OR REPLACE FUNCTION monitoring.timers() RETURNS TABLE (loop text, due bigint, late_seconds double precision)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF to_regclass('timer') IS NOT NULL THEN
        RETURN QUERY SELECT t.loop, count(*), extract(epoch FROM now() - min(t.due_at))::double precision
            FROM timer t WHERE t.due_at < now() GROUP BY t.loop;
    END IF;
END $$;

-- Products whose count of reserved pieces is not what orders hold of them. Catalog alone has any.
CREATE OR REPLACE FUNCTION monitoring.stock() RETURNS TABLE (drifted bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF to_regclass('hold') IS NOT NULL THEN
        RETURN QUERY
            WITH held AS (
                SELECT h.shop, line ->> 0 AS sku, sum((line ->> 1)::integer) AS pieces
                FROM hold h, jsonb_array_elements(h.quantities) AS line
                WHERE h.state = 'reserved' GROUP BY 1, 2
            )
            SELECT count(*) FROM product p LEFT JOIN held USING (shop, sku)
            WHERE p.loaded IS NOT NULL AND p.reserved <> coalesce(held.pieces, 0);
    END IF;
END $$;

RESET ROLE;
