"""What services say to each other: inbound message kinds, events, and outbound messages."""
