"""What the customer reads of orders: placed, paid, late, listed, shown, and moved on by the shop."""

from collections.abc import Sequence

from panier_common import routing
from panier_common.contracts.outbound import (
    BUTTON_TITLE_LIMIT,
    ROW_DESCRIPTION_LIMIT,
    ROW_TITLE_LIMIT,
    LinkMessage,
    ListMessage,
    ReplyButton,
    Row,
    Section,
    clip,
)
from pydantic import HttpUrl

from panier_checkout.answers import Messages, address_text, line_texts, with_buttons
from panier_checkout.order import Order
from panier_checkout.voice import Voice

LISTED = 10
_UNDER_WAY = ("accepted", "ready", "on_the_way")


def pay_link(voice: Voice, key: str, order: Order, link: str, **fields: object) -> Messages:
    """The words `key` over the button that opens the payment page."""
    total = voice.money(order.total_minor, order.currency)
    return (
        LinkMessage(
            body=voice(key, number=order.number, total=total, **fields),
            title=clip(voice("button.pay"), BUTTON_TITLE_LIMIT),
            url=HttpUrl(link),
        ),
    )


def placed_to_pay(voice: Voice, order: Order, link: str, seconds: float) -> Messages:
    return pay_link(voice, "placed.to_pay", order, link, within=voice.span(seconds))


def link_delayed(voice: Voice, order: Order) -> Messages:
    """The provider has not told where to pay yet."""
    body = voice("payment.link_delayed", number=order.number)
    return with_buttons([], body, _detail(voice, order), _cancel(voice, order), voice.person())


def placed_unpaid(voice: Voice, order: Order) -> Messages:
    """Paid when it is handed over, or with nothing to pay."""
    key = "placed.free" if order.total_minor == 0 else f"placed.{order.fulfilment.way}"
    total = voice.money(order.total_minor, order.currency)
    return with_buttons([], voice(key, number=order.number, total=total), _detail(voice, order), voice.menu())


def receipt(voice: Voice, order: Order) -> Messages:
    lines = [voice("receipt.title", number=order.number), *_bill(voice, order)]
    paid = voice.money(order.paid_minor, order.currency)
    closing = voice("receipt.paid", paid=paid)
    return with_buttons(lines, closing, _detail(voice, order), voice.menu())


def payment_failed(voice: Voice, order: Order) -> Messages:
    body = voice("payment.failed", number=order.number)
    return with_buttons([], body, _pay(voice, order), _cancel(voice, order), voice.person())


def payment_problem(voice: Voice, order: Order, reason: str) -> Messages:
    """An honest line: money came that is no sale, and the shop will be in touch."""
    late = reason in {"expired", "cancelled", "refunded"}
    body = voice(f"payment.problem_{reason}" if late else "payment.problem", number=order.number)
    return with_buttons([], body, voice.person(), _detail(voice, order))


def expired(voice: Voice, order: Order) -> Messages:
    return with_buttons([], voice("expired", number=order.number), _again(voice, order), voice.menu())


def cancelled(voice: Voice, order: Order, key: str = "cancelled") -> Messages:
    return with_buttons([], voice(key, number=order.number), _again(voice, order), voice.menu())


def not_cancellable(voice: Voice, order: Order) -> Messages:
    """Too late to cancel by a button: what it is now, and a person."""
    if order.state in {"cancelled", "expired"}:
        return cancelled(voice, order, f"already.{order.state}")
    body = voice("cancel.too_late", number=order.number, state=voice(f"state.{order.state}"))
    return with_buttons([], body, voice.person(), _detail(voice, order))


def nothing_to_pay(voice: Voice, order: Order) -> Messages:
    """The pay button of an order that does not wait for money."""
    if order.state in {"cancelled", "expired"}:
        return cancelled(voice, order, f"already.{order.state}")
    key = "already.paid" if order.paid_minor else "already.on_collection"
    if order.state == "refunded":
        key = "already.refunded"
    return with_buttons([], voice(key, number=order.number), _detail(voice, order), voice.menu())


def not_found(voice: Voice) -> Messages:
    return with_buttons([], voice("order.not_found"), voice.orders(), voice.menu(), voice.person())


def my_orders(voice: Voice, orders: Sequence[Order]) -> Messages:
    """The last ones, newest first."""
    if not orders:
        return with_buttons([], voice("orders.none"), voice.menu(), voice.cart())
    rows = tuple(
        Row(
            id=routing.reply_id(routing.CHECKOUT, "order", order.order_id),
            title=clip(f"{order.number} · {voice(f'state.{order.state}')}", ROW_TITLE_LIMIT),
            description=clip(
                f"{voice.when(order.placed_at)} · {voice.money(order.total_minor, order.currency)}",
                ROW_DESCRIPTION_LIMIT,
            ),
        )
        for order in orders[:LISTED]
    )
    return (
        ListMessage(
            body=voice.count("orders.some", len(rows)),
            button=clip(voice("button.orders"), BUTTON_TITLE_LIMIT),
            sections=(Section(rows=rows),),
        ),
    )


def detail(voice: Voice, order: Order) -> Messages:
    """One order as it is now, with what can be done about it."""
    state = voice(f"state.{order.state}")
    lines = [
        voice("order.title", number=order.number, state=state, at=voice.when(order.placed_at)),
        *_bill(voice, order),
    ]
    if order.fulfilment.address is not None:
        lines.append(voice("summary.deliver", address=address_text(order.fulfilment.address)))
    else:
        lines.append(voice("summary.collect"))
    if order.note:
        lines.append(voice("summary.note", note=order.note))
    total = voice.money(order.total_minor, order.currency)
    return with_buttons(lines, voice("summary.total", total=total), *_actions(voice, order))


def advanced(voice: Voice, order: Order) -> Messages:
    """The shop moved the order on."""
    way = order.fulfilment.way if order.state in {"ready", "completed"} else ""
    key = f"advanced.{order.state}_{way}" if way else f"advanced.{order.state}"
    return with_buttons([], voice(key, number=order.number), _detail(voice, order), voice.person())


def refunded(voice: Voice, order: Order) -> Messages:
    key = "refunded.paid" if order.paid_minor else "refunded.unpaid"
    amount = voice.money(order.paid_minor, order.currency)
    body = voice(key, number=order.number, amount=amount)
    return with_buttons([], body, _again(voice, order), voice.person())


def _bill(voice: Voice, order: Order) -> list[str]:
    lines = line_texts(voice, order.lines, order.currency)
    if order.fees_minor:
        lines.append(voice("summary.fee", fee=voice.money(order.fees_minor, order.currency)))
    return lines


def _actions(voice: Voice, order: Order) -> tuple[ReplyButton, ...]:
    match order.state:
        case "awaiting_payment":
            return _pay(voice, order), _cancel(voice, order), voice.person()
        case "placed":
            return _cancel(voice, order), _again(voice, order), voice.person()
        case state if state in _UNDER_WAY or state == "paid":
            return voice.person(), _again(voice, order), voice.menu()
        case _:
            return _again(voice, order), voice.menu(), voice.person()


def _detail(voice: Voice, order: Order) -> ReplyButton:
    return voice.button("order", routing.CHECKOUT, "order", order.order_id)


def _pay(voice: Voice, order: Order) -> ReplyButton:
    return voice.button("pay", routing.CHECKOUT, "pay", order.order_id)


def _cancel(voice: Voice, order: Order) -> ReplyButton:
    return voice.button("cancel", routing.CHECKOUT, "cancel", order.order_id)


def _again(voice: Voice, order: Order) -> ReplyButton:
    return voice.button("again", routing.CHECKOUT, "again", order.order_id)
