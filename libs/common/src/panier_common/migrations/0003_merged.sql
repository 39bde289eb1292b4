-- Forwarding rows: a conversation that goes on as another. What a loop remembers of it stays readable for the
-- home of that other, which knows by it the messages that were taken before.
CREATE TABLE merged (
    loop text NOT NULL,
    conversation text NOT NULL,
    "into" text NOT NULL,
    PRIMARY KEY (loop, conversation)
);
CREATE INDEX merged_into ON merged (loop, "into");
