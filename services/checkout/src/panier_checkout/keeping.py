"""How long what checkout remembers of conversations and commands is kept; orders are the shop's books. ADR 32."""

from datetime import timedelta

from panier_common.keeping import SILENT, Kept

from panier_checkout.erasure import ENDED

# A command repeated after that is a new one, which the order's state judges.
KEEP_RESULTS = timedelta(days=90)

_ENDED = ", ".join(f"'{state}'" for state in sorted(ENDED))
# `buttons_at` is when the last message was sent; a draft's question may be on its way. With neither and without an
# order there is nothing to remember.
_LAST = (
    "GREATEST((document ->> 'buttons_at')::timestamptz, (document -> 'draft' ->> 'asked_at')::timestamptz, "
    "CASE WHEN NOT document ? 'last_order' THEN '-infinity'::timestamptz END)"
)
# Nothing is under way: no stock asked for and nothing held for its answer, no person who answers, no open order. A
# question of ours that was never answered ends by age, with the address and the note: nothing else would end it.
_IDLE = (
    "document -> 'draft' ->> 'stage' IS DISTINCT FROM 'frozen' "  # noqa: S608 - constants
    "AND NOT document ?| array['held', 'person'] "
    "AND NOT EXISTS (SELECT FROM provider_call WHERE provider_call.conversation = dialogue.conversation) "
    "AND NOT EXISTS (SELECT FROM orders WHERE orders.conversation = dialogue.conversation "
    f"AND orders.state NOT IN ({_ENDED}))"
)

KEPT = (
    Kept("dialogue", _LAST, SILENT, _IDLE),
    Kept("command_result", "at", KEEP_RESULTS),
)
