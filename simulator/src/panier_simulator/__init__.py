"""WhatsApp and Meta's Graph API on one's own machine."""
