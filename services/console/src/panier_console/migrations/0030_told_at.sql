-- When something was told of a message: of messages that are nobody's here it is kept no longer than of ours.
ALTER TABLE sent_message ADD COLUMN at timestamptz NOT NULL DEFAULT now();
ALTER TABLE delivery ADD COLUMN at timestamptz NOT NULL DEFAULT now();
