"""How long carts and what was shown to their customers are kept. ADR 32."""

from datetime import timedelta

from panier_common import shown
from panier_common.keeping import SILENT, Kept

# A cart with nothing in it that nothing was ordered from holds nothing: it may go whenever it is met.
_TOUCHED = "coalesce(greatest(updated_at, shown_at), '-infinity')"


def kept(carts: timedelta) -> tuple[Kept, ...]:
    """A cart that something was ordered from keeps its row, as the order is kept: checkout asks for its last order,
    and would rather refuse a second one than place it twice.
    """
    return (
        Kept("cart", _TOUCHED, carts, "waiting = '[]' AND last_order IS NULL"),
        Kept(
            "cart",
            _TOUCHED,
            carts,
            "waiting = '[]' AND last_order IS NOT NULL AND (lines <> '[]' OR note <> '')",
            left="lines = '[]', note = '', version = version + 1",
        ),
        # Not sooner than carts: without it an old button acts, which then finds no line to take away.
        Kept("shown", shown.NEWEST, max(SILENT, carts)),
    )
