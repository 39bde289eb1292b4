"""What the cart service holds of a customer, and how it forgets it: the SQL of both."""

from collections.abc import Mapping, Sequence
from typing import Any

from panier_common.customers import Row, rows
from panier_common.postgres import Connection


async def known(db: Connection, phone_number_id: str, ids: Sequence[str]) -> Sequence[Mapping[str, Any]]:
    """Carts that show one of these ids."""
    return rows(
        await db.fetch(
            "SELECT conversation, user_id, wa_id FROM cart WHERE phone_number_id = $1 AND user_id = ANY($2::text[]) "
            "UNION "
            "SELECT conversation, user_id, wa_id FROM cart WHERE phone_number_id = $1 AND wa_id = ANY($2::text[])",
            phone_number_id,
            ids,
        )
    )


async def held(db: Connection, conversations: Sequence[str]) -> dict[str, list[Row]]:
    carts = await db.fetch("SELECT * FROM cart WHERE conversation = ANY($1::text[]) ORDER BY 1", conversations)
    shown = await db.fetch(
        "SELECT conversation, length(memory) AS bytes FROM shown WHERE conversation = ANY($1::text[]) ORDER BY 1",
        conversations,
    )
    return {"cart": rows(carts, json=("lines", "waiting")), "shown": rows(shown)}


async def erase_carts(db: Connection, conversations: Sequence[str]) -> None:
    """By the home of conversations."""
    await db.execute("DELETE FROM cart WHERE conversation = ANY($1::text[])", conversations)


async def erase_shown(db: Connection, conversations: Sequence[str]) -> None:
    """By the home that remembers when buttons were sent."""
    await db.execute("DELETE FROM shown WHERE conversation = ANY($1::text[])", conversations)
