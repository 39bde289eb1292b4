"""What the sender holds of a customer, and how it forgets it.

Messages that wait are forgotten by their number's home (`handlers.forget_recipient`), what is known of the window
by the conversation's. Of a message that was sent the sender remembers for 8 days which it was, without any words:
for that long Meta may still say that it failed.
"""

from collections.abc import Sequence

from panier_common.customers import Row, rows
from panier_common.postgres import Connection


async def held(db: Connection, conversations: Sequence[str]) -> dict[str, list[Row]]:
    windows = "SELECT * FROM conversation_window WHERE conversation = ANY($1::text[]) ORDER BY 1"
    waiting = "SELECT * FROM message WHERE conversation = ANY($1::text[]) ORDER BY position"
    return {
        "conversation_window": rows(await db.fetch(windows, conversations)),
        "message": rows(await db.fetch(waiting, conversations), json=("body", "buttons")),
    }


async def erase_windows(db: Connection, conversations: Sequence[str]) -> None:
    """A stop goes as well: nothing is left that could make us write, and who writes again has started again."""
    await db.execute("DELETE FROM conversation_window WHERE conversation = ANY($1::text[])", conversations)


async def erase_messages(db: Connection, conversations: Sequence[str]) -> None:
    await db.execute("DELETE FROM message WHERE conversation = ANY($1::text[])", conversations)
    # The condition on the template is that of the index.
    await db.execute(
        "UPDATE sent SET template = '' WHERE template <> '' AND conversation = ANY($1::text[])", conversations
    )
