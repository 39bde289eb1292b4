"""Every SQL statement of checkout. A batch is loaded and saved by a constant number of them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import msgspec
from asyncpg import Record
from panier_common.contracts.events import PaymentNotified
from panier_common.postgres import Connection

from panier_checkout.decision import Call, ProblemKept, Result, Step
from panier_checkout.desk import Desk
from panier_checkout.dialogue import Dialogue
from panier_checkout.notifications import Ledger
from panier_checkout.order import Order
from panier_checkout.order_answers import LISTED
from panier_checkout.references import References


def _json(row: object) -> str:
    return msgspec.json.encode(row).decode()


def _order(row: Record) -> Order:
    return msgspec.json.decode(row["document"], type=Order)


# One batch of the loop over conversations.


async def load_dialogues(db: Connection, conversations: Sequence[str]) -> dict[str, Dialogue]:
    rows = await db.fetch(
        "SELECT conversation, document FROM dialogue WHERE conversation = ANY($1::text[])", conversations
    )
    return {row["conversation"]: msgspec.json.decode(row["document"], type=Dialogue) for row in rows}


async def load_orders(db: Connection, wanted: References) -> list[Order]:
    """Orders by id, by number within their conversation, and the latest of some conversations."""
    numbers = sorted(wanted.numbers)
    rows = await db.fetch(
        """
        SELECT document FROM orders WHERE order_id = ANY($1::text[])
        UNION
        SELECT document FROM orders
        WHERE (conversation, number) IN (SELECT * FROM unnest($2::text[], $3::text[]))
        UNION
        SELECT latest.document FROM unnest($4::text[]) AS wanted (conversation)
        CROSS JOIN LATERAL (
            SELECT document FROM orders WHERE orders.conversation = wanted.conversation
            ORDER BY placed_at DESC, order_id DESC LIMIT $5
        ) AS latest
        """,
        sorted(wanted.order_ids),
        [conversation for conversation, _ in numbers],
        [number for _, number in numbers],
        sorted(wanted.latest),
        LISTED,
    )
    return [_order(row) for row in rows]


async def load_all_orders(db: Connection, conversations: Sequence[str]) -> list[Order]:
    """Every order of conversations that end."""
    rows = await db.fetch("SELECT document FROM orders WHERE conversation = ANY($1::text[])", conversations)
    return [_order(row) for row in rows]


async def load_asked(db: Connection, conversations: Sequence[str]) -> set[str]:
    """Orders of these conversations that a provider was asked about and has not answered."""
    rows = await db.fetch("SELECT order_id FROM provider_call WHERE conversation = ANY($1::text[])", conversations)
    return {row["order_id"] for row in rows}


async def lock_serials(db: Connection, shops: Sequence[str]) -> dict[str, int]:
    """Each shop's next serial, locked until the transaction ends, in one order for all who lock."""
    rows = await db.fetch(
        """
        INSERT INTO order_serial (shop) SELECT unnest($1::text[]) ORDER BY 1
        ON CONFLICT (shop) DO UPDATE SET next = order_serial.next RETURNING shop, next
        """,
        sorted(shops),
    )
    return {row["shop"]: row["next"] for row in rows}


async def load_answered(db: Connection, keys: Sequence[str]) -> set[str]:
    """Which of these idempotency keys have their result."""
    rows = await db.fetch("SELECT key FROM command_result WHERE key = ANY($1::text[])", keys)
    return {row["key"] for row in rows}


async def save_desk(db: Connection, desk: Desk) -> None:
    """What decisions changed; nothing is written for what they did not."""
    if desk.changed_dialogues:
        await save_dialogues(db, [desk.dialogues[one] for one in sorted(desk.changed_dialogues)])
    if desk.changed_orders:
        await save_orders(db, list(desk.changed_orders.values()))
    if desk.used_serials:
        await save_serials(db, {shop: desk.serials[shop] for shop in sorted(desk.used_serials)})
    if desk.history:
        await add_history(db, desk.history)
    if desk.problems:
        await add_problems(db, desk.problems)
    if desk.results:
        await add_results(db, desk.results)
    if desk.settled_calls:
        await delete_calls(db, desk.settled_calls)
    if desk.calls:
        await add_calls(db, list(desk.calls.values()))


async def save_dialogues(db: Connection, dialogues: Sequence[Dialogue]) -> None:
    await db.execute(
        "INSERT INTO dialogue (conversation, document) SELECT * FROM unnest($1::text[], $2::jsonb[])"
        " ON CONFLICT (conversation) DO UPDATE SET document = excluded.document",
        [dialogue.conversation for dialogue in dialogues],
        [_json(dialogue) for dialogue in dialogues],
    )


async def save_orders(db: Connection, orders: Sequence[Order]) -> None:
    await db.execute(
        "INSERT INTO orders (order_id, placed_at, document)"
        " SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::jsonb[])"
        " ON CONFLICT (order_id) DO UPDATE SET document = excluded.document",
        [order.order_id for order in orders],
        [order.placed_at for order in orders],
        [_json(order) for order in orders],
    )


async def save_serials(db: Connection, serials: Mapping[str, int]) -> None:
    await db.execute(
        "UPDATE order_serial SET next = used.next FROM unnest($1::text[], $2::bigint[]) AS used (shop, next)"
        " WHERE order_serial.shop = used.shop",
        list(serials),
        list(serials.values()),
    )


async def add_history(db: Connection, steps: Sequence[Step]) -> None:
    await db.execute(
        "INSERT INTO order_history (order_id, at, what, by)"
        " SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[])",
        [step.order_id for step in steps],
        [step.at for step in steps],
        [step.what for step in steps],
        [step.by for step in steps],
    )


async def add_problems(db: Connection, problems: Sequence[ProblemKept]) -> None:
    await db.execute(
        "INSERT INTO payment_problem"
        " (order_id, conversation, provider, notification_id, reason, minor, currency, at)"
        " SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[],"
        " $7::text[], $8::timestamptz[]) ON CONFLICT (provider, notification_id) DO NOTHING",
        *_columns(problems, ProblemKept),
    )


async def add_results(db: Connection, results: Sequence[Result]) -> None:
    await db.execute(
        "INSERT INTO command_result (key, order_id, at, code, detail, hint)"
        " SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::text[])",
        *_columns(results, Result),
    )


async def delete_calls(db: Connection, settled: Collection[tuple[str, str]]) -> None:
    done = sorted(settled)
    await db.execute(
        "DELETE FROM provider_call USING unnest($1::text[], $2::text[]) AS settled (order_id, what)"
        " WHERE provider_call.order_id = settled.order_id AND provider_call.what = settled.what",
        [order_id for order_id, _ in done],
        [what for _, what in done],
    )


async def add_calls(db: Connection, calls: Sequence[Call]) -> None:
    await db.execute(
        "INSERT INTO provider_call"
        " (order_id, what, home, conversation, provider, session_id, minor, currency, traceparent)"
        " SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::text[], $6::text[], $7::bigint[],"
        " $8::text[], $9::text[]) ON CONFLICT (order_id, what) DO NOTHING",
        *_columns(calls, Call),
    )


def _columns(rows: Sequence[msgspec.Struct], kind: type[msgspec.Struct]) -> list[list[object]]:
    return [[getattr(row, name) for row in rows] for name in kind.__struct_fields__]


# One batch of the loop over payments.


async def load_ledger(db: Connection, told: Sequence[PaymentNotified]) -> Ledger:
    """Which of these notifications are known, and whose orders they are about."""
    known = await db.fetch(
        "SELECT provider, notification_id FROM payment_notification"
        " WHERE (provider, notification_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))",
        [one.provider for one in told],
        [one.notification_id for one in told],
    )
    orders = await db.fetch(
        "SELECT order_id, conversation FROM orders WHERE order_id = ANY($1::text[])",
        [one.order_id.lower() for one in told],
    )
    return Ledger(
        known={(row["provider"], row["notification_id"]) for row in known},
        conversations={row["order_id"]: row["conversation"] for row in orders},
    )


async def save_ledger(db: Connection, ledger: Ledger) -> None:
    recorded = ledger.recorded
    if recorded:
        await db.execute(
            "INSERT INTO payment_notification"
            " (provider, notification_id, order_id, state, minor, currency, at)"
            " SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[],"
            " $7::timestamptz[])",
            *(
                [getattr(one, name) for one in recorded]
                for name in ("provider", "notification_id", "order_id", "state", "minor", "currency", "at")
            ),
        )
    if ledger.problems:
        await add_problems(db, ledger.problems)


# Calls of payment providers.

_CALL = ", ".join(f"call.{name}" for name in Call.__struct_fields__)


async def claim_calls(db: Connection, homes: Sequence[int], limit: int, seconds: float) -> list[tuple[Call, int]]:
    """Calls that are due, with the number of this attempt; due again in so many seconds, should it not end."""
    rows = await db.fetch(
        f"""
        WITH due AS (
            SELECT order_id, what FROM provider_call WHERE home = ANY($1::int[]) AND due_at <= statement_timestamp()
            ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED
        )
        UPDATE provider_call AS call
        SET attempts = call.attempts + 1, due_at = clock_timestamp() + make_interval(secs => $3)
        FROM due WHERE call.order_id = due.order_id AND call.what = due.what RETURNING call.attempts, {_CALL}
        """,  # noqa: S608 - a constant
        homes,
        limit,
        seconds,
    )
    return [(Call(**{name: row[name] for name in Call.__struct_fields__}), row["attempts"]) for row in rows]


async def put_off_call(db: Connection, call: Call, seconds: float) -> None:
    await db.execute(
        "UPDATE provider_call SET due_at = clock_timestamp() + make_interval(secs => $3)"
        " WHERE order_id = $1 AND what = $2",
        call.order_id,
        call.what,
        seconds,
    )


async def waiting_calls(db: Connection, homes: Sequence[int]) -> dict[str, tuple[int, float]]:
    """provider → how many calls wait, and for how many seconds the oldest does."""
    rows = await db.fetch(
        "SELECT provider, count(*) AS calls, extract(epoch FROM clock_timestamp() - min(asked_at))::float8 AS seconds"
        " FROM provider_call WHERE home = ANY($1::int[]) GROUP BY provider",
        homes,
    )
    return {row["provider"]: (row["calls"], row["seconds"]) for row in rows}


# What people look up.


async def orders_of_shop(
    db: Connection, shop: str, since: datetime | None, after: tuple[datetime, str] | None, limit: int
) -> list[Order]:
    """Oldest first: the next ones after the order of that time and id."""
    placed_at, order_id = after or (None, None)
    rows = await db.fetch(
        "SELECT document FROM orders WHERE shop = $1"
        " AND placed_at >= coalesce(greatest($2::timestamptz, $3::timestamptz), '-infinity')"
        " AND ($3 IS NULL OR (placed_at, order_id) > ($3, $4::text)) ORDER BY placed_at, order_id LIMIT $5",
        shop,
        since,
        placed_at,
        order_id,
        limit,
    )
    return [_order(row) for row in rows]


async def orders_named(db: Connection, reference: str) -> list[Order]:
    """The order of that id, or those of that number: one a shop."""
    rows = await db.fetch(
        "SELECT document FROM orders WHERE order_id = $1 OR number = $2 ORDER BY order_id",
        reference.lower(),
        reference.upper(),
    )
    return [_order(row) for row in rows]


async def history_of(db: Connection, order_id: str) -> list[Step]:
    rows = await db.fetch("SELECT order_id, at, what, by FROM order_history WHERE order_id = $1 ORDER BY id", order_id)
    return [Step(**dict(row)) for row in rows]


_PROBLEM = "order_id, conversation, provider, notification_id, reason, minor, currency, at"


async def problem_of(db: Connection, order_id: str) -> ProblemKept | None:
    """The latest payment problem of an order."""
    row = await db.fetchrow(
        f"SELECT {_PROBLEM} FROM payment_problem WHERE order_id = $1"  # noqa: S608 - a constant
        " ORDER BY at DESC, notification_id LIMIT 1",
        order_id,
    )
    return ProblemKept(**dict(row)) if row is not None else None


async def latest_problems(db: Connection, shop: str | None, limit: int) -> list[tuple[ProblemKept, Order | None]]:
    """Newest first, with the order that each is about; None for an unknown one, which is of no shop."""
    rows = await db.fetch(
        "SELECT problem.*, orders.document FROM payment_problem AS problem"
        " LEFT JOIN orders ON orders.order_id = lower(problem.order_id)"
        " WHERE $1::text IS NULL OR orders.shop = $1 ORDER BY at DESC, notification_id LIMIT $2",
        shop,
        limit,
    )
    names = ProblemKept.__struct_fields__
    return [
        (ProblemKept(**{name: row[name] for name in names}), None if row["document"] is None else _order(row))
        for row in rows
    ]


async def result_of(db: Connection, key: str) -> Result | None:
    row = await db.fetchrow("SELECT key, order_id, at, code, detail, hint FROM command_result WHERE key = $1", key)
    return Result(**dict(row)) if row is not None else None
