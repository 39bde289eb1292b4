-- A template that goes instead of a message that Meta took is not taken for it, and is forgotten with its customer.

ALTER TABLE message ADD COLUMN undelivered text NOT NULL DEFAULT '';  -- Meta's id of the message that it says again
-- Of few messages: an erasure need not look at all that was sent.
CREATE INDEX sent_template ON sent (conversation) WHERE template <> '';
