"""Checkout's two loops: what each reads, what it wants of that, and how a batch is loaded and saved."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from panier_common import homes, routing, topics
from panier_common.batch import Loop
from panier_common.contracts import events as e
from panier_common.event import OWNER, Headers, Received, types_of
from panier_common.postgres import Connection

from panier_checkout import db, metrics, notifications
from panier_checkout.desk import Desk, Trade
from panier_checkout.handlers import decide
from panier_checkout.notifications import Ledger
from panier_checkout.provider_calls import ProviderCalls
from panier_checkout.references import conversations, references
from panier_checkout.sessions import ANSWERS
from panier_checkout.waits import TIMER_EVENTS

_WANTED = types_of(
    (
        e.CheckoutRequested,
        e.StockReserved,
        e.StockRefused,
        e.PaymentRecorded,
        e.OrderAdvanced,
        e.CancelRequested,
        e.RefundRequested,
        e.ErasureRequested,
        e.MessageSent,
        e.FloorChanged,
    )
)

CONVERSATIONS = "checkout.conversations"

# The steps at which money comes or goes.
MONEY = ("paid", "refunded")


def _wants(topic: str, headers: Headers) -> bool:
    if topic == topics.INBOUND.name:
        return headers.get(OWNER) == routing.CHECKOUT
    return headers.get("ce_type") in _WANTED


def conversations_loop(trade: Trade, calls: ProviderCalls) -> Loop[Desk]:
    def committed(desk: Desk) -> None:
        _count_desk(desk)
        if desk.calls:
            calls.wake()

    return Loop(
        name=CONVERSATIONS,
        topics=(
            topics.INBOUND,
            topics.CART,
            topics.STOCK,
            topics.COMMAND,
            topics.SENT,
            topics.FLOOR,
        ),
        wants=_wants,
        load=partial(load_desk, trade),
        decide=partial(decide, trade),
        save=db.save_desk,
        timer_events=(*TIMER_EVENTS, *ANSWERS),
        on_commit=committed,
        on_take_over=calls.take_over,
        on_release=calls.release,
    )


class ShopsNotLoadedError(RuntimeError):
    """Waited out: without its shop nothing can be decided, least of all a timer that was due while we were away."""


async def load_desk(trade: Trade, connection: Connection, batch: Sequence[Received]) -> Desk:
    """The dialogues of the batch, the orders it could be about, and the serials of orders to be placed."""
    if not trade.shops.loaded:
        raise ShopsNotLoadedError
    desk = Desk(dialogues=await db.load_dialogues(connection, conversations(batch)), now=datetime.now(UTC))
    wanted = references(batch, desk.dialogues, trade.languages)
    if wanted.order_ids or wanted.latest:
        for order in await db.load_orders(connection, wanted):
            desk.orders.setdefault(order.conversation, {})[order.order_id] = order
    ending = sorted({r.event.conversation for r in batch if isinstance(r.event, e.ConversationMerged)})
    erased = sorted({one for r in batch if isinstance(r.event, e.ErasureRequested) for one in r.event.conversations})
    if erased:
        ending = sorted({*ending, *erased})
        desk.asked = await db.load_asked(connection, erased)
        desk.dialogues |= await db.load_dialogues(connection, sorted(set(erased) - desk.dialogues.keys()))
    if ending:
        for order in await db.load_all_orders(connection, ending):
            desk.orders.setdefault(order.conversation, {})[order.order_id] = order
    placing = {received.event.shop for received in batch if isinstance(received.event, e.StockReserved)}
    if placing:
        desk.serials = await db.lock_serials(connection, sorted(placing))
    keys = {
        received.event.key
        for received in batch
        if isinstance(received.event, e.OrderAdvanced | e.CancelRequested | e.RefundRequested | e.ErasureRequested)
    }
    if keys:
        desk.answered = await db.load_answered(connection, sorted(keys))
    return desk


def payments_loop() -> Loop[Ledger]:
    return Loop(
        name="checkout.payments",
        topics=(topics.PAYMENT,),
        wants=lambda _, headers: headers.get("ce_type") == e.PaymentNotified.ce_type,
        load=load_ledger,
        decide=notifications.record,
        save=db.save_ledger,
        remembers=False,
        on_commit=lambda ledger: _count_problems(len(ledger.problems)),
    )


class OrdersNotBackError(RuntimeError):
    """Waited out: in a restored database an order may be missing that is placed again in a moment."""


async def load_ledger(connection: Connection, batch: Sequence[Received]) -> Ledger:
    told = [received.event for received in batch if isinstance(received.event, e.PaymentNotified)]
    ledger = await db.load_ledger(connection, told)
    strange = [one for one in told if one.order_id.lower() not in ledger.conversations]
    if strange and await homes.is_replaying(connection, CONVERSATIONS):
        raise OrdersNotBackError
    return ledger


def _count_desk(desk: Desk) -> None:
    """Once for each step: `desk` is that of a committed batch. A refund gives back all that was paid."""
    for step in desk.history:
        what = step.what.partition(":")[0]
        metrics.ORDERS.add(1, {"what": what})
        order = desk.changed_orders.get(step.order_id) if what in MONEY else None
        if order is not None and order.paid_minor:
            metrics.REVENUE.add(order.paid_minor, {"what": what, "currency": order.currency})
    _count_problems(len(desk.problems))


def _count_problems(problems: int) -> None:
    if problems:
        metrics.PAYMENT_PROBLEMS.add(problems)
