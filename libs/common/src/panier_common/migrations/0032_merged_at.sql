-- Since when a conversation goes on as another: its link is forgotten when nothing is kept under the old id any more.
ALTER TABLE merged ADD COLUMN at timestamptz NOT NULL DEFAULT now();
