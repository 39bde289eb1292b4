-- Messages that were given up are few: whoever asks for them does not read all the others.
CREATE INDEX sent_message_failed ON sent_message (at) WHERE reached = 2;
