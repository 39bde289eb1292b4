"""How long what checkout remembers of conversations and commands is kept; orders are the shop's books. ADR 32."""

from datetime import timedelta

from panier_common.keeping import SILENT, Kept

from panier_checkout.erasure import ENDED

# A command repeated after that is a new one, which the order's state judges.
KEEP_RESULTS = timedelta(days=90)

_ENDED = ", ".join(f"'{state}'" for state in sorted(ENDED))
# `buttons_at` is when the last message was sent. Without one and without an order there is nothing to remember.
_LAST_SENT = (
    "CASE WHEN document ? 'buttons_at' THEN (document ->> 'buttons_at')::timestamptz "
    "WHEN NOT document ? 'last_order' THEN '-infinity'::timestamptz END"
)
# Nothing is begun: no draft, nothing held for the stock's answer, no person who answers, no order under way.
_IDLE = (
    "NOT document ?| array['draft', 'held', 'person'] "  # noqa: S608 - constants
    "AND NOT EXISTS (SELECT FROM provider_call WHERE provider_call.conversation = dialogue.conversation) "
    "AND NOT EXISTS (SELECT FROM orders WHERE orders.conversation = dialogue.conversation "
    f"AND orders.state NOT IN ({_ENDED}))"
)

KEPT = (
    Kept("dialogue", _LAST_SENT, SILENT, _IDLE),
    Kept("command_result", "at", KEEP_RESULTS),
)
