"""A customer is forgotten: what stands in the way, and what stays of an order without its customer. Pure.

What the law of trade asks for stays: number, lines, amounts, dates, and the payment's reference. An order that is
under way is a contract with somebody: it comes to its end first.
"""

from collections.abc import Collection, Iterable

from msgspec.structs import replace
from panier_common.contracts.events import Customer, CustomerErased, ErasureRequested, RecipientErased

from panier_checkout.decision import Decision, Result, events
from panier_checkout.dialogue import Dialogue
from panier_checkout.order import LAWFUL, Order

ENDED = frozenset(state for state, moves in LAWFUL.items() if not moves)
NOBODY = "erased"


def is_under_way(order: Order, asked: Collection[str] = ()) -> bool:
    """Whether the order still needs its customer; `asked` are orders whose provider was asked and has not answered."""
    return order.state not in ENDED or order.order_id in asked


def without_person(order: Order) -> Order:
    """The order of nobody."""
    return replace(
        order,
        conversation=f"{order.phone_number_id}:{NOBODY}",
        customer=Customer(),
        fulfilment=replace(order.fulfilment, address=None),
        note="",
        caused_by="",  # the id of a WhatsApp message holds the phone number
        pay_url="",
    )


def decide_erasure(
    asked: ErasureRequested, orders: Iterable[Order], dialogues: Iterable[Dialogue], waiting: Collection[str]
) -> Decision:
    """Tell everybody, or say what has to come to its end first: all forget, or nobody does."""
    obstacles = [
        f"order {order.number} of shop {order.shop} is {order.state}"
        for order in sorted(orders, key=lambda order: order.placed_at)
        if is_under_way(order, waiting)
    ]
    obstacles += ["an order is just being placed" for one in dialogues if one.is_placing]
    if obstacles:
        return Decision(
            result=Result(
                asked.key,
                "",
                asked.at,
                code="orders_under_way",
                detail=f"this customer's orders are under way: {'; '.join(obstacles)}",
                hint="bring each to its end by `panier orders advance`, `cancel` or `refund`, then ask again",
            )
        )
    erased = [CustomerErased(one, asked.phone_number_id, asked.ids, asked.at) for one in asked.conversations]
    told = events(*erased, RecipientErased(asked.phone_number_id, asked.conversations, asked.at))
    return Decision(told, result=Result(asked.key, "", asked.at))
