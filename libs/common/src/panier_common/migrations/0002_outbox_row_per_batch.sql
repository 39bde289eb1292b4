-- What a transaction publishes is one row a home instead of one a record: `n` is the number of its last record,
-- `records` holds all of it as JSON, [[n, topic, key, headers, value], …], a tombstone's value being null; by zlib
-- when that is long.

ALTER TABLE outbox ADD COLUMN records bytea;

UPDATE outbox SET records = convert_to(
    format('[[%s,%s,%s,%s,%s]]', n, to_json(topic), to_json(key), convert_from(headers, 'UTF8'),
           coalesce(convert_from(value, 'UTF8'), 'null')),
    'UTF8');

ALTER TABLE outbox
    DROP COLUMN topic,
    DROP COLUMN key,
    DROP COLUMN headers,
    DROP COLUMN value,
    ALTER COLUMN records SET NOT NULL,
    ALTER COLUMN records SET STORAGE EXTERNAL;  -- what is long is compressed already
