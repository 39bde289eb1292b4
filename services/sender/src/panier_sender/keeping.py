"""How long what the sender knows of silent customers and of uploads is kept. ADR 32."""

from datetime import timedelta

from panier_common.keeping import SILENT, Kept

from panier_sender.db import KEEP_UPLOAD

KEPT = (
    # A stop is never forgotten by time: it would be undone by that.
    Kept(
        "conversation_window",
        "coalesce(greatest(last_message_at, spoke_at), '-infinity')",
        SILENT,
        "NOT stopped AND NOT no_offers",
    ),
    # Meta has deleted it the day after.
    Kept("upload", "uploaded_at", KEEP_UPLOAD + timedelta(days=2)),
)
