"""What checkout holds of a customer, how it forgets it, and the command that asks everybody to: I/O alone."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from fastapi import APIRouter
from msgspec.structs import replace
from panier_common.contracts.events import ErasureRequested
from panier_common.customers import Person, Row, rows
from panier_common.kafka import Producer
from panier_common.postgres import Connection, Pool
from panier_common.web import Problem

from panier_checkout import db as checkout
from panier_checkout.api import BY, Key, carried_out
from panier_checkout.erasure import is_under_way, without_person


async def held(db: Connection, conversations: Sequence[str]) -> dict[str, list[Row]]:
    dialogues = "SELECT conversation, document FROM dialogue WHERE conversation = ANY($1::text[]) ORDER BY 1"
    orders = "SELECT order_id, document FROM orders WHERE conversation = ANY($1::text[]) ORDER BY placed_at"
    history = (
        "SELECT order_id, at, what, by FROM order_history JOIN orders USING (order_id) "
        "WHERE conversation = ANY($1::text[]) ORDER BY order_history.id"
    )
    payments = (
        "SELECT payment_notification.* FROM payment_notification JOIN orders USING (order_id) "
        "WHERE conversation = ANY($1::text[]) ORDER BY at"
    )
    problems = "SELECT * FROM payment_problem WHERE conversation = ANY($1::text[]) ORDER BY at"
    calls = "SELECT * FROM provider_call WHERE conversation = ANY($1::text[]) ORDER BY asked_at"
    return {
        "dialogue": rows(await db.fetch(dialogues, conversations), json=("document",)),
        "orders": rows(await db.fetch(orders, conversations), json=("document",)),
        "order_history": rows(await db.fetch(history, conversations)),
        "payment_notification": rows(await db.fetch(payments, conversations)),
        "payment_problem": rows(await db.fetch(problems, conversations)),
        "provider_call": rows(await db.fetch(calls, conversations)),
    }


async def erase(db: Connection, conversations: Sequence[str]) -> Collection[str]:
    """Orders that ended stay without the person. What began since it was asked for stays whole, as it is new, and
    its conversations are given back.
    """
    orders = await checkout.load_all_orders(db, conversations)
    asked = await checkout.load_asked(db, conversations)
    dialogues = await checkout.load_dialogues(db, conversations)
    under_way = {order.conversation for order in orders if is_under_way(order, asked)}
    under_way |= {one.conversation for one in dialogues.values() if one.is_placing}
    ended = [without_person(order) for order in orders if not is_under_way(order, asked)]
    if ended:
        await checkout.save_orders(db, ended)
    # The console forgets who has the floor: nobody would ever hand it back.
    kept = [replace(one, person=False) for one in dialogues.values() if one.conversation in under_way]
    if kept:
        await checkout.save_dialogues(db, kept)
    await db.execute(
        "DELETE FROM dialogue WHERE conversation = ANY($1::text[])", sorted(set(conversations) - under_way)
    )
    await db.execute(
        "UPDATE payment_problem SET conversation = NULL WHERE conversation = ANY($1::text[])", conversations
    )
    return under_way


def router(pool: Pool, producer: Producer) -> APIRouter:
    routes = APIRouter(prefix="/customers")

    @routes.post("/erase")
    async def erase_customer(person: Person, idempotency_key: Key = None) -> dict[str, object]:
        """Have every service forget these conversations; refused while an order is under way."""
        if idempotency_key is None:
            raise Problem(400, "no_key", "the header Idempotency-Key is missing", "send one for each command")
        elsewhere = [one for one in person.conversations if not one.startswith(f"{person.phone_number_id}:")]
        if elsewhere or not person.conversations:
            raise Problem(400, "invalid", "conversations of this number are needed, and of no other", "")
        asked = ErasureRequested(
            conversation=person.conversations[0],
            phone_number_id=person.phone_number_id,
            conversations=tuple(person.conversations),
            ids=tuple(person.ids),
            key=idempotency_key,
            by=BY,
            at=datetime.now(UTC),
        )
        result = await carried_out(pool, producer, asked, idempotency_key)
        if result.code:
            raise Problem(409, result.code, result.detail, result.hint)
        return {"conversations": person.conversations, "requested_at": result.at}

    return routes
