"""A cart that goes on in another conversation of the same customer. Pure: what stays, and what comes in."""

from datetime import datetime

from msgspec.structs import replace
from panier_common.contracts.events import Customer
from panier_common.identity import customer_in

from panier_cart import editing
from panier_cart.cart import Cart, CartLine
from panier_cart.pricing import MAX_QUANTITY


def left_behind(cart: Cart, customer: Customer) -> Cart:
    """Nothing, under the ids that are known now."""
    left = replace(cart, lines=(), note="", waiting=(), customer=_known(cart.customer, customer))
    return replace(left, version=cart.version + 1) if cart.lines else left


def joined(mine: Cart | None, theirs: Cart, conversation: str, at: datetime) -> Cart:
    """Both carts in one: no line is lost, quantities of one product are summed and capped.

    Where only one has lines it keeps its id, so that an order under way takes exactly its lines out.
    """
    waiting = tuple([replace(ask, conversation=conversation) for ask in theirs.waiting])
    if mine is None:
        here = _known(customer_in(conversation), theirs.customer)
        version = theirs.version + 1
        return replace(
            theirs, conversation=conversation, customer=here, waiting=waiting, version=version, updated_at=at
        )
    version = max(mine.version, theirs.version) + 1
    lines = _summed(mine.lines, theirs.lines, version) if mine.lines else theirs.lines
    after = replace(
        mine,
        customer=_known(mine.customer, theirs.customer),
        cart_id=mine.cart_id if mine.lines or not theirs.lines else theirs.cart_id,
        note=editing.joined_note(mine.note, theirs.note) if lines else "",
        lines=lines,
        last_order=mine.last_order or theirs.last_order,
        waiting=(*mine.waiting, *waiting),
        shown_at=max((one for one in (mine.shown_at, theirs.shown_at) if one is not None), default=None),
    )
    return after if lines == mine.lines else replace(after, version=version, updated_at=at)


def _summed(lines: tuple[CartLine, ...], more: tuple[CartLine, ...], version: int) -> tuple[CartLine, ...]:
    """What comes in is of this version: no order of an earlier one holds it."""
    by_sku = {line.sku: line for line in lines}
    for line in more:
        known = by_sku.get(line.sku)
        if known is None:
            by_sku[line.sku] = replace(line, since=version)
        else:
            by_sku[line.sku] = replace(known, quantity=min(known.quantity + line.quantity, MAX_QUANTITY))
    return tuple(by_sku.values())


def _known(one: Customer, other: Customer) -> Customer:
    return Customer(one.user_id or other.user_id, one.wa_id or other.wa_id)
