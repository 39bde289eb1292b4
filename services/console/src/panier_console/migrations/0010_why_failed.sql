-- The sender's sentence about a message that was given up, in the shop's language.
ALTER TABLE sent_message ADD COLUMN said text NOT NULL DEFAULT '';
