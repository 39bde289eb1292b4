-- Whether a restored home has still before it what it had read after its backup. Other loops of the service wait for it
-- where they look for what it is going to write again.
ALTER TABLE home ADD COLUMN replays boolean NOT NULL DEFAULT false;
