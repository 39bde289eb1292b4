"""What the cart does about each event and each press: one function each, pure. The table of contents.

Everything a customer asks comes as an `Ask`, whichever way it came: a message, or a typed title that checkout
passed on. A product nobody has heard of puts the whole ask off once (`Decision.awaits`), since it may be on
its way here; what the same customer asks meanwhile waits behind it, so that answers keep their order.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from msgspec.structs import replace
from panier_common.contracts.events import (
    CartAsked,
    CartChanged,
    CheckoutRequested,
    Customer,
    Event,
    MessageRequested,
    OrderPlaced,
    OrderRepeated,
)
from panier_common.contracts.inbound import Content, Order, Reply
from panier_common.contracts.outbound import Message, clip, packed
from panier_common.routing import CART, CHECKOUT, parse_reply
from panier_common.routing import Reply as Press
from panier_common.shown import OLD_AFTER

from panier_cart import editing, pricing, summary
from panier_cart.cart import Ask, Cart, Shelf
from panier_cart.pricing import Lines, Notice, Wanted
from panier_cart.summary import words

_ACTING = frozenset({"add", "more", "fewer", "remove", "empty", "start"})


class Decision(NamedTuple):
    """The cart after it, what is published in order, and whether the catalogue is given time to tell."""

    cart: Cart
    events: tuple[Event, ...] = ()
    awaits: bool = False


def answer(cart: Cart, ask: Ask, shelf: Shelf) -> Decision:
    """Answer a customer now, or put the ask off while a product of it, or of one before it, is unknown."""
    if cart.waiting or any(sku not in shelf for sku in skus_asked(ask.content)):
        return Decision(replace(cart, waiting=(*cart.waiting, ask)), (), awaits=not cart.waiting)
    return _answer_now(cart, ask, shelf)


def answer_waiting(cart: Cart, shelf: Shelf) -> Decision:
    """The catalogue had its time: the first ask is answered with what is known, those behind it as usual."""
    if not cart.waiting:
        return Decision(cart)
    first, *behind = cart.waiting
    cart, events, awaits = _answer_now(replace(cart, waiting=()), first, shelf)
    for ask in behind:
        cart, more, again = answer(cart, ask, shelf)
        events, awaits = events + more, awaits or again
    return Decision(cart, events, awaits)


def take_out_order(cart: Cart, event: OrderPlaced) -> Decision:
    """An order exists: exactly its version's lines leave the cart, what came later stays."""
    if cart.last_order == event.order_id:
        return Decision(cart)
    lines, note = cart.lines, cart.note
    if cart.cart_id == event.cart_id:
        lines = editing.subtracted(lines, event.lines, event.cart_version)
        note = editing.remaining_note(note, event.note)
    after = editing.revised(cart, lines, note, event.placed_at, event.order_id)
    after = replace(after, last_order=event.order_id)
    return Decision(after, changes(cart, after, event.customer))


def take_in_again(cart: Cart, event: OrderRepeated, shelf: Shelf, language: str) -> Decision:
    """The same again: an earlier order's lines come in at today's prices."""
    ask = Ask(
        cart.conversation,
        cart.phone_number_id,
        cart.shop,
        event.customer,
        event.wamid,
        event.at,
        language,
        Reply(f"checkout:again:{event.order_id}"),
    )
    return _take_in(cart, ask, shelf, pricing.wanted_again(event.lines))


def request_checkout_again(cart: Cart, event: CartAsked, shelf: Shelf, language: str) -> Decision:
    """Checkout knows a later order than the request named: it is told what the cart holds now."""
    ask = Ask(
        cart.conversation,
        cart.phone_number_id,
        cart.shop,
        cart.customer,
        event.wamid,
        event.at,
        language,
        Reply("checkout:start"),
    )
    return start_checkout(cart, ask, shelf)


def skus_asked(content: Content) -> Iterable[str]:
    """The products that answering this needs to know, besides those in the cart."""
    match content:
        case Order(items=items):
            return [item.sku for item in items]
        case Reply(id=reply) if reply.startswith("cart:add:"):
            press = parse_reply(reply)
            return [press.argument] if press and press.argument else []
        case _:
            return []


def _answer_now(cart: Cart, ask: Ask, shelf: Shelf) -> Decision:
    match ask.content:
        case Order() as order:
            return take_in_order(cart, ask, shelf, order)
        case Reply(id=reply):
            press = parse_reply(reply)
            return show_instead(cart, ask, shelf) if press is None else answer_press(cart, ask, shelf, press)
        case _:
            return show(cart, ask, shelf)


def take_in_order(cart: Cart, ask: Ask, shelf: Shelf, order: Order) -> Decision:
    """A WhatsApp cart: its lines join the open cart, at our prices."""
    theirs = pricing.other_currency(order.items, cart.currency)
    if theirs is not None:
        # The amounts on the phone mean something else than ours: nothing of it can be taken as agreed.
        shown = summary.other_currency_shown(theirs, cart.currency, ask.language)
        return _decided(cart, cart, ask, shown)
    return _take_in(cart, ask, shelf, pricing.wanted_of_order(order.items, cart.currency), order.text)


def _take_in(cart: Cart, ask: Ask, shelf: Shelf, wanted: Sequence[Wanted], note: str = "", lead: str = "") -> Decision:
    present, notices = pricing.refreshed(cart.lines, shelf)
    lines, more = pricing.taken_in(present, wanted, shelf, cart.version + 1)
    after = _revised(cart, ask, lines, editing.joined_note(cart.note, note))
    if lines == present:
        lead = words(ask.language, "cart.nothing_added") if wanted else ""
    elif present and not lead:
        lead = words(ask.language, "cart.joined")
    return _shown(cart, after, ask, [*notices, *more], lead)


def answer_press(cart: Cart, ask: Ask, shelf: Shelf, press: Press) -> Decision:
    """A button or row. One of another time, or for something gone, shows the cart as it is now."""
    if press.owner == CHECKOUT and press.verb != "start":
        return show(cart, ask, shelf)
    if acts(press) and _is_old(cart, ask):
        return show_instead(cart, ask, shelf)
    act = _PRESSES.get(press.verb)
    return act(cart, ask, shelf, press) if act else show_instead(cart, ask, shelf)


def acts(press: Press) -> bool:
    """Whether pressing it changes something, and so has to be meant now."""
    return press.verb in _ACTING and press.owner == (CHECKOUT if press.verb == "start" else CART)


def _is_old(cart: Cart, ask: Ask) -> bool:
    """By the message that held the button; where the press names none, by when the cart last answered."""
    if ask.old is None:
        return cart.shown_at is not None and ask.at - cart.shown_at > OLD_AFTER
    return ask.old


def show(cart: Cart, ask: Ask, shelf: Shelf, lead: str = "") -> Decision:
    lines, notices = pricing.refreshed(cart.lines, shelf)
    return _shown(cart, _revised(cart, ask, lines), ask, notices, lead)


def show_instead(cart: Cart, ask: Ask, shelf: Shelf) -> Decision:
    return show(cart, ask, shelf, words(ask.language, "cart.old_button"))


def start_checkout(cart: Cart, ask: Ask, shelf: Shelf) -> Decision:
    """Order what is in the cart: checkout answers, unless there is nothing to order."""
    lines, notices = pricing.refreshed(cart.lines, shelf)
    after = _revised(cart, ask, lines)
    if not lines:
        return _shown(cart, after, ask, notices)
    shown = summary.changes_shown(after, ask.language, notices)
    return _decided(cart, after, ask, shown, _request(after, ask))


def add(cart: Cart, ask: Ask, shelf: Shelf, press: Press) -> Decision:
    product = shelf.get(press.argument)
    lead = words(ask.language, "cart.added", title=clip(product.title, pricing.NAME_LIMIT)) if product else ""
    return _take_in(cart, ask, shelf, [Wanted(press.argument)], lead=lead)


def edit(cart: Cart, ask: Ask, shelf: Shelf, press: Press) -> Decision:
    """The lines to pick from; `cart:edit:<page>` is a later page of them."""
    if not cart.lines:
        return show(cart, ask, shelf)
    page = int(press.argument) if press.argument.isdecimal() and len(press.argument) < 4 else 1
    return _decided(cart, cart, ask, summary.lines_to_edit(cart, ask.language, page))


def edit_line(cart: Cart, ask: Ask, shelf: Shelf, press: Press) -> Decision:
    line = cart.line(press.argument)
    if line is None or not summary.editable(line):
        return _not_in_cart(cart, ask, shelf)
    return _decided(cart, cart, ask, summary.line_shown(cart, line, ask.language))


def empty(cart: Cart, ask: Ask, shelf: Shelf, press: Press) -> Decision:
    after = _revised(cart, ask, ())
    return _decided(cart, after, ask, summary.nothing_shown(after, ask.language, "cart.emptied"))


def more(cart: Cart, ask: Ask, shelf: Shelf, press: Press) -> Decision:
    return _change_line(cart, ask, shelf, press, lambda quantity: quantity + 1)


def fewer(cart: Cart, ask: Ask, shelf: Shelf, press: Press) -> Decision:
    return _change_line(cart, ask, shelf, press, lambda quantity: quantity - 1)


def remove(cart: Cart, ask: Ask, shelf: Shelf, press: Press) -> Decision:
    return _change_line(cart, ask, shelf, press, lambda quantity: 0)


_PRESSES: dict[str, Callable[[Cart, Ask, Shelf, Press], Decision]] = {
    "add": add,
    "show": lambda cart, ask, shelf, press: show(cart, ask, shelf),
    "start": lambda cart, ask, shelf, press: start_checkout(cart, ask, shelf),
    "edit": edit,
    "line": edit_line,
    "empty": empty,
    "more": more,
    "fewer": fewer,
    "remove": remove,
}


def _change_line(cart: Cart, ask: Ask, shelf: Shelf, press: Press, change: Callable[[int], int]) -> Decision:
    line = cart.line(press.argument)
    if line is None:
        return _not_in_cart(cart, ask, shelf)
    changed = editing.with_quantity(cart.lines, line.sku, change(line.quantity))
    lines, notices = pricing.refreshed(changed, shelf)
    return _shown(cart, _revised(cart, ask, lines), ask, notices)


def _not_in_cart(cart: Cart, ask: Ask, shelf: Shelf) -> Decision:
    return show(cart, ask, shelf, words(ask.language, "cart.not_in_cart"))


def _revised(cart: Cart, ask: Ask, lines: Lines, note: str | None = None) -> Cart:
    return editing.revised(cart, lines, cart.note if note is None else note, ask.at, ask.wamid)


def _shown(before: Cart, after: Cart, ask: Ask, notices: Sequence[Notice] = (), lead: str = "") -> Decision:
    messages = summary.cart_shown(after, ask.language, lead=lead, notices=notices)
    return _decided(before, after, ask, messages)


def _decided(
    before: Cart, after: Cart, ask: Ask, messages: Sequence[Message], request: CheckoutRequested | None = None
) -> Decision:
    """What changed is published first, then what checkout is asked, then what the customer is told."""
    events: tuple[Event, ...] = changes(before, after, ask.customer)
    if request is not None:
        events = (*events, request)
    answers = (_message(after, ask, message) for message in messages)
    return Decision(replace(after, shown_at=ask.at), (*events, *answers))


def changes(before: Cart, after: Cart, customer: Customer) -> tuple[CartChanged, ...]:
    """What others are told of a cart that became another."""
    if after.version == before.version or after.updated_at is None:
        return ()
    changed = CartChanged(
        conversation=after.conversation,
        phone_number_id=after.phone_number_id,
        shop=after.shop,
        customer=customer,
        cart_id=after.cart_id,
        version=after.version,
        lines=tuple([line.published() for line in after.lines]),
        currency=after.currency,
        total_minor=after.total_minor,
        at=after.updated_at,
        note=after.note,
    )
    return (changed,)


def _request(cart: Cart, ask: Ask) -> CheckoutRequested:
    return CheckoutRequested(
        conversation=cart.conversation,
        phone_number_id=cart.phone_number_id,
        shop=cart.shop,
        customer=ask.customer,
        cart_id=cart.cart_id,
        version=cart.version,
        lines=tuple([line.published() for line in cart.lines]),
        currency=cart.currency,
        total_minor=cart.total_minor,
        at=ask.at,
        wamid=ask.wamid,
        note=cart.note,
        last_order=cart.last_order,
    )


def _message(cart: Cart, ask: Ask, message: Message) -> MessageRequested:
    return MessageRequested(
        phone_number_id=cart.phone_number_id,
        conversation=cart.conversation,
        shop=cart.shop,
        customer=ask.customer,
        message=packed(message),
        answers=ask.wamid,
        answers_at=ask.at,
    )
