"""Checkout's rows on a real PostgreSQL, and how many statements a batch costs."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from msgspec.structs import replace
from panier_checkout import db
from panier_checkout.desk import Desk, Trade
from panier_checkout.handlers import decide
from panier_checkout.loops import ShopsNotLoadedError, load_desk, load_ledger
from panier_checkout.notifications import record
from panier_checkout.waits import PaymentHalfway
from panier_common.contracts import events as e
from panier_common.contracts import inbound as m
from panier_common.effects import Effect, Publish
from panier_common.event import Received, inbound_id
from panier_common.postgres import Pool, create_pool, is_caused_by_a_record
from panier_payments import Simulated

from .stage import CUSTOMER, LINES, NOON, NUMBER, PLENTY, SHOP, WORDS, FixedShops

TRADE = Trade(FixedShops({SHOP.shop: SHOP}), WORDS, {"simulated": Simulated("http://localhost:8070/pay")})


@pytest.fixture
async def pool(database: Callable[[str], Awaitable[str]]) -> AsyncIterator[Pool]:
    pool = await create_pool(await database("panier_checkout"))
    yield pool
    pool.terminate()


def received(event: e.Event, name: str) -> Received:
    return Received("test", 0, 0, inbound_id("test", name), NOON, event, {})


def message(customer: str, content: m.Content, name: str = "") -> Received:
    conversation = f"{NUMBER}:{customer}"
    wamid = f"wamid.{customer}.{name or content}"
    said = e.MessageReceived(conversation, NUMBER, replace(CUSTOMER, user_id=customer), wamid, NOON, content, SHOP.shop)
    return received(said, wamid)


def request(customer: str) -> Received:
    asked = e.CheckoutRequested(
        f"{NUMBER}:{customer}", NUMBER, SHOP.shop, replace(CUSTOMER, user_id=customer), "cart", 1, LINES,
        "EUR", 820, NOON, f"wamid.{customer}",
    )  # fmt: skip
    return received(asked, f"request {customer}")


def told(notification: str, order_id: str) -> Received:
    paid = e.PaymentNotified("simulated", notification, order_id, "paid", 820, "EUR", NOON)
    return received(paid, notification)


async def batch(connection: Any, records: Sequence[Received]) -> tuple[Desk, list[Effect]]:
    """One transaction as the runner has it."""
    async with connection.transaction():
        desk = await load_desk(TRADE, connection, records)
        effects = [effect for one in records for effect in decide(TRADE, desk, one)]
        await db.save_desk(connection, desk)
    return desk, effects


def happened(effects: Sequence[Effect], kind: type[e.Event]) -> list[Any]:
    return [x.event for x in effects if isinstance(x, Publish) and isinstance(x.event, kind)]


async def reserved(connection: Any, customers: Sequence[str]) -> list[Received]:
    """Draft and confirm for each; the answers about their stock."""
    await batch(connection, [request(customer) for customer in customers])
    for press in ("checkout:collect", "checkout:confirm"):
        _, effects = await batch(connection, [message(c, m.Reply(press)) for c in customers])
    return [
        received(e.StockReserved(asked.conversation, SHOP.shop, asked.order_id, NOON), asked.order_id)
        for asked in happened(effects, e.StockRequested)
    ]


async def order_for(connection: Any, customer: str) -> e.OrderPlaced:
    _, effects = await batch(connection, await reserved(connection, [customer]))
    (placed,) = happened(effects, e.OrderPlaced)
    return placed


async def test_an_order_is_found_by_id_number_and_customer(pool: Pool) -> None:
    async with pool.acquire() as connection:
        placed = await order_for(connection, "FR.1")
        for reference in (placed.order_id, placed.number, placed.number.lower(), placed.order_id.upper()):
            (found,) = await db.orders_named(connection, reference)
            assert found.order_id == placed.order_id
            assert found.lines == LINES
        assert await db.orders_named(connection, "nobody's") == []
        assert len(await db.orders_of_shop(connection, SHOP.shop, None, None, 9)) == 1
        assert await db.orders_of_shop(connection, SHOP.shop, NOON.replace(year=2030), None, 9) == []
        assert [step.what for step in await db.history_of(connection, placed.order_id)] == ["placed"]
        for press in ("checkout:orders", f"checkout:order:{placed.number}"):
            _, effects = await batch(connection, [message("FR.1", m.Reply(press))])
            assert placed.order_id in bytes(happened(effects, e.MessageRequested)[0].message).decode()


async def test_one_batch_can_hold_the_whole_story(pool: Pool) -> None:
    """What the records of one batch are about is not all in the database yet when it is loaded."""
    async with pool.acquire() as connection:
        records = [request("FR.1")]
        records += [message("FR.1", m.Reply(p)) for p in ("checkout:collect", "checkout:confirm", "checkout:orders")]
        _, effects = await batch(connection, records)
        (asked,) = happened(effects, e.StockRequested)
        shown = e.MessageSent(
            asked.conversation, NUMBER, "1", "w", "buttons", NOON, (e.Button("checkout:orders", "Mes commandes"),)
        )
        _, effects = await batch(
            connection,
            [
                received(e.StockReserved(asked.conversation, SHOP.shop, asked.order_id, NOON), "stock"),
                received(shown, "sent"),
                message("FR.1", m.Text("mes commandes")),
                message("FR.1", m.Reply("checkout:cancel:G3-100")),
            ],
        )
        assert asked.order_id in bytes(happened(effects, e.MessageRequested)[1].message).decode()
        assert happened(effects, e.OrderCancelled)[0].order_id == asked.order_id


async def test_numbers_are_given_once_to_orders_placed_at_the_same_time(pool: Pool) -> None:
    async with pool.acquire() as one, pool.acquire() as two:
        first = await reserved(one, [f"FR.{n}" for n in range(20)])
        second = await reserved(two, [f"FR.{n}" for n in range(20, 40)])
        halves = [(one, first[:10]), (two, second[:10])], [(one, first[10:]), (two, second[10:])]
        for pair in halves:
            await asyncio.gather(*(batch(connection, records) for connection, records in pair))
        orders = await db.orders_of_shop(one, SHOP.shop, None, None, 99)
    assert len({order.number for order in orders}) == len(orders) == 40


@pytest.mark.parametrize("address", ["شارع ١٢، بيروت", "12 rue des 🥐, 2e 👩‍🍳", "‮12 rue à l’envers"])
async def test_an_address_in_any_script_is_kept_as_it_was_written(pool: Pool, address: str) -> None:
    async with pool.acquire() as connection:
        customer = replace(CUSTOMER, user_id="FR.1")
        asked = e.CheckoutRequested(
            f"{NUMBER}:FR.1", NUMBER, SHOP.shop, customer, "cart", 1, PLENTY, "EUR", 2000, NOON, "wamid.1"
        )
        await batch(connection, [received(asked, "request")])
        for n, said in enumerate((m.Reply("checkout:deliver"), m.Text(address), m.Reply("checkout:confirm"))):
            _, effects = await batch(connection, [message("FR.1", said, str(n))])
        (stock,) = happened(effects, e.StockRequested)
        reserved_ = e.StockReserved(stock.conversation, SHOP.shop, stock.order_id, NOON)
        await batch(connection, [received(reserved_, "stock")])
        (order,) = await db.orders_named(connection, stock.order_id)
        assert order.fulfilment.address == e.Address(address)


async def test_what_postgresql_refuses_is_the_record_s_fault(pool: Pool) -> None:
    async with pool.acquire() as connection:
        placed = await order_for(connection, "FR.1")
        (order,) = await db.orders_named(connection, placed.order_id)
        with pytest.raises(asyncpg.PostgresError) as refused:
            await db.save_orders(connection, [replace(order, note="a\0b")])
        assert is_caused_by_a_record(refused.value)
        with pytest.raises(ValueError, match="surrogates"):
            await db.save_orders(connection, [replace(order, note="a\ud83d")])


async def test_a_notification_is_recorded_once_for_good(pool: Pool) -> None:
    async with pool.acquire() as connection:
        placed = await order_for(connection, "FR.1")
        issued = []
        for _ in range(2):
            for records in (
                [told("n-1", placed.order_id.upper()), told("n-1", placed.order_id)],
                [told("n-2", "unknown"), told("n-1", "unknown")],
            ):
                ledger = await load_ledger(connection, records)
                issued += [x for one in records for x in record(ledger, one)]
                await db.save_ledger(connection, ledger)
        (paid,) = [effect.event for effect in issued if isinstance(effect, Publish)]
        assert (paid.conversation, paid.order_id) == (placed.conversation, placed.order_id)
        ((problem, order),) = await db.latest_problems(connection, None, 10)
        assert order is None
        assert (problem.reason, problem.order_id, problem.conversation) == ("unknown_order", "unknown", None)


async def test_a_payment_problem_and_a_result_are_kept(pool: Pool) -> None:
    async with pool.acquire() as connection:
        placed = await order_for(connection, "FR.1")
        wrong = e.PaymentRecorded(placed.conversation, "simulated", "n-1", placed.order_id, "paid", 1, "EUR", NOON)
        advance = e.OrderAdvanced(placed.conversation, placed.order_id, "ready", "key", "shop", NOON)
        await batch(connection, [received(wrong, "wrong"), received(advance, "advance")])
        problem = await db.problem_of(connection, placed.order_id)
        result = await db.result_of(connection, "key")
        assert problem is not None
        assert problem.reason == "wrong_amount"
        ((listed, order),) = await db.latest_problems(connection, SHOP.shop, 10)
        assert listed == problem
        assert order is not None
        assert order.order_id == placed.order_id
        assert await db.latest_problems(connection, "another", 10) == []
        assert result is not None
        assert result.code == "unlawful_move"
        desk, effects = await batch(connection, [received(advance, "advance again")])
        assert (effects, desk.results) == ([], [])


async def test_the_database_itself_refuses_half_a_payment(pool: Pool) -> None:
    async with pool.acquire() as connection:
        placed = await order_for(connection, "FR.1")
        (order,) = await db.orders_named(connection, placed.order_id)
        with pytest.raises(asyncpg.CheckViolationError):
            await db.save_orders(connection, [replace(order, paid_minor=1)])


async def test_what_changes_nothing_writes_nothing(pool: Pool) -> None:
    async with pool.acquire() as connection:
        desk, effects = await batch(connection, [message("FR.1", m.Text("du pain"))])
        assert len(happened(effects, e.EnquiryRaised)) == 1
        assert not desk.changed_dialogues
        assert await connection.fetchval("SELECT count(*) FROM dialogue") == 0


@pytest.mark.parametrize("records", [1, 50, 500])
async def test_a_batch_costs_the_same_statements_however_large(pool: Pool, records: int) -> None:
    statements: list[str] = []
    async with pool.acquire() as connection:
        # asyncpg asks for the types of an array once a connection: not a batch's doing.
        await order_for(connection, "FR.first")
        answers = await reserved(connection, [f"FR.{n}" for n in range(records)])
        connection.add_query_logger(lambda logged: statements.append(str(logged.query).split()[0]))
        _, effects = await batch(connection, answers)
        await asyncio.sleep(0)  # the log is told in the loop's next turn
        counted = Counter(statements)
    assert len(happened(effects, e.OrderPlaced)) == records
    # dialogues, orders, serials; dialogues, orders, serials, history; around them the transaction
    assert counted == {"BEGIN;": 1, "SELECT": 2, "INSERT": 4, "UPDATE": 1, "COMMIT;": 1}


async def test_what_is_due_before_the_shops_are_known_waits_for_them(pool: Pool) -> None:
    """A restart with an order's time over: it must expire a moment later, not become a dead letter."""
    starting = Trade(FixedShops({}, loaded=False), WORDS, {})
    async with pool.acquire() as connection:
        with pytest.raises(ShopsNotLoadedError):
            await load_desk(starting, connection, [])


@pytest.mark.parametrize(
    ("looked_up", "index"),
    [
        ("orders WHERE order_id = 'k7-100' OR number = 'K7-100'", "orders_of_number"),
        ("payment_notification WHERE order_id = 'id'", "payment_notification_of_order"),
    ],
)
async def test_what_people_look_up_is_found_without_reading_all_there_ever_was(
    pool: Pool, looked_up: str, index: str
) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")
        plan = await connection.fetch(f"EXPLAIN SELECT * FROM {looked_up}")
    assert index in "\n".join([row[0] for row in plan])


@pytest.mark.parametrize(("left", "reminders"), [(timedelta(minutes=2), 1), (timedelta(minutes=-2), 0)])
async def test_a_timer_is_decided_on_by_the_present_time(pool: Pool, left: timedelta, reminders: int) -> None:
    """Its own time is when it was due, however long checkout was away."""
    async with pool.acquire() as connection:
        _, effects = await batch(connection, await reserved(connection, ["FR.1"]))
        (placed,) = happened(effects, e.OrderPlaced)
        halfway = PaymentHalfway(placed.conversation, placed.order_id)
        desk = await load_desk(TRADE, connection, [received(halfway, "halfway")])
        order = desk.orders[placed.conversation][placed.order_id]
        await db.save_orders(connection, [replace(order, due_at=datetime.now(UTC) + left)])
        _, effects = await batch(connection, [received(halfway, "halfway")])
        assert len(happened(effects, e.MessageRequested)) == reminders
