"""Words to tell the cart's tests in: a shelf, a customer, and what the customer asks."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from panier_cart.cart import Ask, Cart, Product
from panier_cart.handlers import Decision, answer
from panier_common.contracts.events import (
    CartChanged,
    CheckoutRequested,
    Customer,
    Event,
    MessageRequested,
    ShopConfigured,
)
from panier_common.contracts.inbound import Content, Order, OrderItem, Reply, Text
from panier_common.contracts.outbound import Message, offered, unpacked

NUMBER, SHOP = "106540352242922", "boulangerie"
CUSTOMER = Customer(user_id="FR.1000000001", wa_id="33600000001")
CONVERSATION = f"{NUMBER}:FR.1000000001"
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

CROISSANT = Product("croissant", "Croissant au beurre", 140, False)
TRADITION = Product("tradition", "Baguette tradition", 130, False)
GALETTE = Product("galette", "Galette des rois", 2200, True)
SHELF = {product.sku: product for product in (CROISSANT, TRADITION, GALETTE)}

BAKERY = ShopConfigured(
    SHOP, 1, "Boulangerie", ("fr", "en"), "EUR", "Europe/Paris", "1", (), True, None, "simulated", 1800.0
)


class Shops:
    """A directory that knows the bakery."""

    def __init__(self) -> None:
        self.loaded = True
        self.by_id = {SHOP: BAKERY}


_wamids = count(1)


def new_cart() -> Cart:
    return Cart(CONVERSATION, NUMBER, SHOP, CUSTOMER, "EUR")


def asks(content: Content, *, language: str = "fr", at: datetime | None = None) -> Ask:
    n = next(_wamids)
    when = at or NOON + timedelta(seconds=n)
    return Ask(CONVERSATION, NUMBER, SHOP, CUSTOMER, f"wamid.{n}", when, language, content)


def order(*items: tuple[Any, ...], text: str = "", currency: str = "EUR") -> Order:
    """(sku, quantity[, price on the phone]) a line."""
    lines = tuple(OrderItem(sku, quantity, *price, currency=currency) for sku, quantity, *price in items)
    return Order("194836987003835", lines, text)


def press(reply: str) -> Reply:
    return Reply(reply)


def told(cart: Cart, *contents: Content, shelf: dict[str, Product] | None = None) -> Decision:
    """What the last of these messages led to, each answered on the cart that the one before left."""
    decision = Decision(cart)
    for content in contents:
        decision = answer(decision.cart, asks(content), SHELF if shelf is None else shelf)
    return decision


def messages(events: Sequence[Event]) -> list[Message]:
    return [unpacked(event.message) for event in events if isinstance(event, MessageRequested)]


def said(decision: Decision) -> str:
    """Everything the customer reads, in one text."""
    return "\n".join(str(getattr(message, "body", "")) for message in messages(decision.events))


def buttons(decision: Decision) -> list[str]:
    return [reply for message in messages(decision.events) for reply, _ in offered(message)]


def quantities(cart: Cart) -> dict[str, int]:
    return {line.sku: line.quantity for line in cart.lines}


def changes(decision: Decision) -> list[CartChanged]:
    return [event for event in decision.events if isinstance(event, CartChanged)]


def requests(decision: Decision) -> list[CheckoutRequested]:
    return [event for event in decision.events if isinstance(event, CheckoutRequested)]


HELLO = Text("panier")
WAYS_ON = ["checkout:start", "cart:edit", "catalog:menu"]
TWO_CROISSANTS = order(("croissant", 2, "1.40"))
START, EMPTY = press("checkout:start"), press("cart:empty")
