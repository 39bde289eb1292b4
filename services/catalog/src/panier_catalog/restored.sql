-- Run in a restored database: versions go on above those that were published after the backup, which consumers know.
UPDATE product SET version = version + 1000000;
UPDATE shop SET version = version + 1000000,
    configured = jsonb_set(configured, '{version}', to_jsonb(version + 1000000));
