-- A stop follows its customer through a merge of conversations; what was said last holds.

ALTER TABLE conversation_window ADD COLUMN spoke_at timestamptz;      -- when the customer last said stop, or started again
UPDATE conversation_window SET spoke_at = last_message_at;
-- Meta told that the customer wants no marketing (131050, or the field user_preferences).
ALTER TABLE conversation_window ADD COLUMN no_offers boolean NOT NULL DEFAULT false;
