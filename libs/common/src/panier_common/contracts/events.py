"""Every event on Panier's topics: a frozen Struct a fact, named in the past, with its CloudEvents type.

JSON on the wire. A change adds optional fields; anything else is a new `.v2` class beside the old one.
Which topic carries which event, and under which key, is in `topics.py`.
"""

from datetime import datetime
from typing import ClassVar

import msgspec

from panier_common.contracts.inbound import Content, Context


def _nothing() -> msgspec.Raw:
    return msgspec.Raw(b"null")


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """The parent of all events. `ce_type` is `panier.<noun>.<verb>.v<N>`."""

    ce_type: ClassVar[str] = ""


class Customer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who: the business-scoped user id, the WhatsApp id (digits, no `+`), or both. `name` is the profile's."""

    user_id: str | None = None
    wa_id: str | None = None
    name: str = ""


class MessageReceived(Event, frozen=True):
    """A customer's message. `raw` is Meta's own JSON of it; `shop` is None for a number of no shop.

    With `group_id` it was said in a group chat: kept, answered by nobody, and no reason to write to the customer.
    """

    ce_type: ClassVar[str] = "panier.message.received.v1"
    conversation: str
    phone_number_id: str
    customer: Customer
    wamid: str
    at: datetime
    content: Content
    shop: str | None = None
    context: Context | None = None
    parent_user_id: str | None = None
    raw: msgspec.Raw = msgspec.field(default_factory=_nothing)
    group_id: str | None = None


class DeliveryError(msgspec.Struct, frozen=True, omit_defaults=True):
    code: int
    title: str = ""


class DeliveryChanged(Event, frozen=True):
    """A status of one of our messages: sent, delivered, read, played, failed (or what Meta invents next).

    `message_id` is our own id, which the sender gave as `biz_opaque_callback_data`; empty when not ours.
    """

    ce_type: ClassVar[str] = "panier.delivery.changed.v1"
    phone_number_id: str
    wamid: str
    status: str
    at: datetime
    message_id: str = ""
    recipient_user_id: str | None = None
    recipient_wa_id: str | None = None
    errors: tuple[DeliveryError, ...] = ()
    raw: msgspec.Raw = msgspec.field(default_factory=_nothing)


class EnquiryRaised(Event, frozen=True):
    """Free text that no open question of checkout's was waiting for; `owner` answers it.

    What is no text, and is left to a person of the shop, has an empty one.
    With `reply_id`, the text was the title of a button of the last message: it counts as pressing it.
    `shown_at` is when that message was sent.
    """

    ce_type: ClassVar[str] = "panier.enquiry.raised.v1"
    conversation: str
    phone_number_id: str
    shop: str
    customer: Customer
    owner: str
    text: str
    wamid: str
    at: datetime
    reply_id: str | None = None
    shown_at: datetime | None = None


class ProductChanged(Event, frozen=True):
    """The product as it is now. An older `version` than the one known is ignored. Prices in minor units.

    `at_most` is how many can still be promised, told only where that is less than one cart may hold of a
    product; None says there are enough. A hint for carts: only a reservation makes sure.
    """

    ce_type: ClassVar[str] = "panier.product.changed.v1"
    shop: str
    sku: str
    version: int
    title: str
    price_minor: int
    currency: str
    sold_out: bool
    catalog_id: str = ""
    description: str = ""
    collection: str = ""
    image_link: str = ""
    link: str = ""
    at_most: int | None = None

    @property
    def shop_sku(self) -> str:
        """The topic's key."""
        return f"{self.shop}+{self.sku}"


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a cart or an order, at the shop's price."""

    sku: str
    title: str
    quantity: int
    unit_minor: int

    @property
    def total_minor(self) -> int:
        return self.quantity * self.unit_minor


class CartChanged(Event, frozen=True):
    """The open cart after a change."""

    ce_type: ClassVar[str] = "panier.cart.changed.v1"
    conversation: str
    phone_number_id: str
    shop: str
    customer: Customer
    cart_id: str
    version: int
    lines: tuple[Line, ...]
    currency: str
    total_minor: int
    at: datetime
    note: str = ""


class CheckoutRequested(Event, frozen=True):
    """The customer wants to order this version of the cart.

    `last_order` is the last order whose lines the cart has subtracted: checkout asks the cart anew when it
    knows a later one. `wamid` is the message that asked for it.
    """

    ce_type: ClassVar[str] = "panier.checkout.requested.v1"
    conversation: str
    phone_number_id: str
    shop: str
    customer: Customer
    cart_id: str
    version: int
    lines: tuple[Line, ...]
    currency: str
    total_minor: int
    at: datetime
    wamid: str
    note: str = ""
    last_order: str | None = None


class CartAbandoned(Event, frozen=True):
    """An open cart nobody touched for the shop's time; at most one reminder follows."""

    ce_type: ClassVar[str] = "panier.cart.abandoned.v1"
    conversation: str
    shop: str
    cart_id: str
    version: int
    at: datetime


class CartAsked(Event, frozen=True):
    """Checkout saw a request older than its last order: the cart publishes what it holds now."""

    ce_type: ClassVar[str] = "panier.cart.asked.v1"
    conversation: str
    shop: str
    wamid: str
    at: datetime
    last_order: str


class Address(msgspec.Struct, frozen=True, omit_defaults=True):
    text: str = ""
    latitude: float | None = None
    longitude: float | None = None


class Fulfilment(msgspec.Struct, frozen=True, omit_defaults=True):
    """`way` is collect or deliver; the address is only for the latter."""

    way: str
    address: Address | None = None


class StockRequested(Event, frozen=True):
    """A confirmed draft asks for its stock. `order_id` is the order it will become."""

    ce_type: ClassVar[str] = "panier.stock.requested.v1"
    conversation: str
    shop: str
    order_id: str
    lines: tuple[Line, ...]
    currency: str
    at: datetime


class OrderPlaced(Event, frozen=True):
    """The stock is reserved and the order exists. The cart subtracts `lines` of `cart_version`.

    `state` is awaiting_payment, or placed (paid on collection). `caused_by` is the wamid of the press on
    confirm. `total_minor` includes `fees_minor`.
    """

    ce_type: ClassVar[str] = "panier.order.placed.v1"
    conversation: str
    phone_number_id: str
    shop: str
    customer: Customer
    order_id: str
    number: str
    cart_id: str
    cart_version: int
    lines: tuple[Line, ...]
    currency: str
    fees_minor: int
    total_minor: int
    fulfilment: Fulfilment
    state: str
    caused_by: str
    placed_at: datetime
    note: str = ""


class OrderRepeated(Event, frozen=True):
    """The customer wants the same again: the cart takes the lines in at today's prices."""

    ce_type: ClassVar[str] = "panier.order.repeated.v1"
    conversation: str
    phone_number_id: str
    shop: str
    customer: Customer
    order_id: str
    lines: tuple[Line, ...]
    at: datetime
    wamid: str


class OrderPaid(Event, frozen=True):
    ce_type: ClassVar[str] = "panier.order.paid.v1"
    conversation: str
    shop: str
    order_id: str
    currency: str
    paid_minor: int
    lines: tuple[Line, ...]
    at: datetime


class OrderCancelled(Event, frozen=True):
    """Cancelled by the customer or the shop, or a wait for stock that nobody answered. Frees the stock.

    `currency`, `sold_minor` and `lines` say what had counted as sold: an order to be paid on collection was.
    They are left empty for an order that nobody had paid.
    """

    ce_type: ClassVar[str] = "panier.order.cancelled.v1"
    conversation: str
    shop: str
    order_id: str
    by: str
    at: datetime
    currency: str = ""
    sold_minor: int = 0
    lines: tuple[Line, ...] = ()


class OrderExpired(Event, frozen=True):
    """The payment's time is over and its session closed unpaid. Frees the stock."""

    ce_type: ClassVar[str] = "panier.order.expired.v1"
    conversation: str
    shop: str
    order_id: str
    at: datetime


class OrderStatusChanged(Event, frozen=True):
    """The shop moved the order on: accepted, ready, on_the_way, completed."""

    ce_type: ClassVar[str] = "panier.order.status-changed.v1"
    conversation: str
    shop: str
    order_id: str
    state: str
    at: datetime


class OrderRefunded(Event, frozen=True):
    """What was paid is given back. `sold_minor` and `lines` are as in OrderCancelled, of an order that nobody paid."""

    ce_type: ClassVar[str] = "panier.order.refunded.v1"
    conversation: str
    shop: str
    order_id: str
    currency: str
    refunded_minor: int
    at: datetime
    sold_minor: int = 0
    lines: tuple[Line, ...] = ()


class StockReserved(Event, frozen=True):
    ce_type: ClassVar[str] = "panier.stock.reserved.v1"
    conversation: str
    shop: str
    order_id: str
    at: datetime


class ShortLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is in the way of one line: `available` is what could be promised, `unit_minor` today's price."""

    sku: str
    wanted: int
    available: int | None
    unit_minor: int | None = None
    title: str = ""


class StockRefused(Event, frozen=True):
    """Nothing was reserved: some lines are short (`short`) or have another price now (`repriced`)."""

    ce_type: ClassVar[str] = "panier.stock.refused.v1"
    conversation: str
    shop: str
    order_id: str
    short: tuple[ShortLine, ...]
    repriced: tuple[ShortLine, ...]
    at: datetime


class StockReleased(Event, frozen=True):
    ce_type: ClassVar[str] = "panier.stock.released.v1"
    conversation: str
    shop: str
    order_id: str
    at: datetime


class PaymentNotified(Event, frozen=True):
    """What a payment provider told ingest. `notification_id` is the provider's, unique for good."""

    ce_type: ClassVar[str] = "panier.payment.notified.v1"
    provider: str
    notification_id: str
    order_id: str
    state: str
    minor: int
    currency: str
    at: datetime
    raw: msgspec.Raw = msgspec.field(default_factory=_nothing)


class PaymentRecorded(Event, frozen=True):
    """A payment notification, recorded by checkout and issued to the order's conversation."""

    ce_type: ClassVar[str] = "panier.payment.recorded.v1"
    conversation: str
    provider: str
    notification_id: str
    order_id: str
    state: str
    minor: int
    currency: str
    at: datetime


class OrderAdvanced(Event, frozen=True):
    """A person of the shop asks to move an order on. `key` is the idempotency key; the answer is kept by it."""

    ce_type: ClassVar[str] = "panier.order.advanced.v1"
    conversation: str
    order_id: str
    state: str
    key: str
    by: str
    at: datetime


class CancelRequested(Event, frozen=True):
    """A person of the shop asks to cancel an order."""

    ce_type: ClassVar[str] = "panier.cancel.requested.v1"
    conversation: str
    order_id: str
    key: str
    by: str
    at: datetime


class RefundRequested(Event, frozen=True):
    """A person of the shop asks to refund an order."""

    ce_type: ClassVar[str] = "panier.refund.requested.v1"
    conversation: str
    order_id: str
    key: str
    by: str
    at: datetime


class FloorReturned(Event, frozen=True):
    """A person of the shop is done answering this conversation: the machine may speak again."""

    ce_type: ClassVar[str] = "panier.floor.returned.v1"
    conversation: str
    key: str
    by: str
    at: datetime


class ErasureRequested(Event, frozen=True):
    """A person of the shop asks to forget a customer. `key` is the idempotency key; the answer is kept by it.

    `conversations` are all that the customer has with this number, `ids` the ids that were shown in them.
    """

    ce_type: ClassVar[str] = "panier.erasure.requested.v1"
    conversation: str
    phone_number_id: str
    conversations: tuple[str, ...]
    ids: tuple[str, ...]
    key: str
    by: str
    at: datetime


class CustomerErased(Event, frozen=True):
    """Nothing stands in the way: whoever keeps rows of this conversation forgets them. `ids` are the customer's."""

    ce_type: ClassVar[str] = "panier.customer.erased.v1"
    conversation: str
    phone_number_id: str
    ids: tuple[str, ...]
    at: datetime


class RecipientErased(Event, frozen=True):
    """The same for what is kept by number: messages of these conversations that wait are not sent any more."""

    ce_type: ClassVar[str] = "panier.recipient.erased.v1"
    phone_number_id: str
    conversations: tuple[str, ...]
    at: datetime


class Template(msgspec.Struct, frozen=True, omit_defaults=True):
    """A template approved by Meta; `body` are the texts for its body's placeholders, in order."""

    name: str
    language: str
    body: tuple[str, ...] = ()


class MessageRequested(Event, frozen=True):
    """One channel-neutral message to one customer.

    `message` is the JSON of a `contracts.outbound.Message`. `answers_at` is the time of the customer's message
    that it answers (the 24-hour window counts from the later of that and what the sender knows); None for
    what nobody asked for. `lane` is answer, news or reminder. `template` goes instead of the message when the
    window is closed.
    """

    ce_type: ClassVar[str] = "panier.message.requested.v1"
    phone_number_id: str
    conversation: str
    shop: str
    customer: Customer
    message: msgspec.Raw
    lane: str = "answer"
    answers: str | None = None
    answers_at: datetime | None = None
    template: Template | None = None


class Button(msgspec.Struct, frozen=True):
    """A button or row that a sent message showed."""

    id: str
    title: str


class MessageSent(Event, frozen=True):
    """Meta accepted the message. `message_id` is the id of the MessageRequested; `buttons` what it offered."""

    ce_type: ClassVar[str] = "panier.message.sent.v1"
    conversation: str
    phone_number_id: str
    message_id: str
    wamid: str
    kind: str
    at: datetime
    buttons: tuple[Button, ...] = ()
    origin: str = ""


class MessageFailed(Event, frozen=True):
    """The message was given up. `code` is Meta's, 0 when there was none; `reason` is our class of it.

    `said` is the reason as a sentence for people, in the shop's first language.
    """

    ce_type: ClassVar[str] = "panier.message.failed.v1"
    conversation: str
    phone_number_id: str
    message_id: str
    kind: str
    code: int
    reason: str
    at: datetime
    wamid: str = ""
    origin: str = ""
    said: str = ""


class Number(msgspec.Struct, frozen=True, omit_defaults=True):
    """A phone number of a shop; `access_token_env` names the variable that holds its token.

    `messages_per_second` is what Meta lets it send and receive, where that is not the usual.
    """

    phone_number_id: str
    display: str
    access_token_env: str
    messages_per_second: int | None = None


class Delivery(msgspec.Struct, frozen=True, omit_defaults=True):
    """Amounts in the shop's minor units; None: no such rule."""

    fee_minor: int = 0
    free_from_minor: int | None = None
    minimum_minor: int | None = None


class ShopConfigured(Event, frozen=True):
    """A shop as its owner set it up. An older `version` than the one known is ignored."""

    ce_type: ClassVar[str] = "panier.shop.configured.v1"
    shop: str
    version: int
    name: str
    languages: tuple[str, ...]
    currency: str
    timezone: str
    catalog_id: str
    numbers: tuple[Number, ...]
    collect: bool
    delivery: Delivery | None
    payment_provider: str
    expires_after_seconds: float


class FloorChanged(Event, frozen=True):
    """Whether a person of the shop is answering this conversation. An older `version` is ignored."""

    ce_type: ClassVar[str] = "panier.floor.changed.v1"
    conversation: str
    shop: str
    person: bool
    version: int
    at: datetime


class SalesOfCurrency(msgspec.Struct, frozen=True):
    currency: str
    revenue_minor: int
    orders: int
    items: int


class SalesCounted(Event, frozen=True):
    """A shop's sales of one day in its own time zone, as they stand now."""

    ce_type: ClassVar[str] = "panier.sales.counted.v1"
    shop: str
    day: str
    timezone: str
    currencies: tuple[SalesOfCurrency, ...]
    carts: int
    checkouts: int
    placed: int
    paid: int


class AccountChanged(Event, frozen=True):
    """A webhook that is no message and no status, whole: `field` is Meta's, `raw` the whole change."""

    ce_type: ClassVar[str] = "panier.account.changed.v1"
    account: str
    field: str
    at: datetime
    raw: msgspec.Raw = msgspec.field(default_factory=_nothing)


class CustomersLinked(Event, frozen=True):
    """Two ids of one customer; commutative. `pair` is the topic's key.

    An id is a user id, or a phone number as `<phone_number_id>:<digits>`. With `first` and `second` the same, a
    phone number was seen alone: the first user id that comes with it belongs to it. `left` is the one of the two
    that the customer gave up, if any.
    """

    ce_type: ClassVar[str] = "panier.customers.linked.v1"
    pair: str
    first: str
    second: str
    at: datetime
    left: str = ""


class ConversationMerged(Event, frozen=True):
    """What was begun as `conversation` belongs to `into`: its home moves it there and forwards what still comes.

    Told as often as somebody notices, in any order; `into` is always the lesser of two conversations.
    `customer` has the ids that are known to be one customer's.
    """

    ce_type: ClassVar[str] = "panier.conversation.merged.v1"
    conversation: str
    into: str
    phone_number_id: str
    customer: Customer
    at: datetime


class StateMoved(Event, frozen=True):
    """One row of a merged conversation on its way to `conversation`; `owner` is the loop whose row it is."""

    ce_type: ClassVar[str] = "panier.state.moved.v1"
    conversation: str
    source: str
    owner: str
    what: str
    document: msgspec.Raw
    at: datetime


class EventForwarded(Event, frozen=True):
    """What came for a merged conversation, on its way to where that is now: for the loop `owner` alone."""

    ce_type: ClassVar[str] = "panier.event.forwarded.v1"
    conversation: str
    source: str
    owner: str
    topic: str
    id: str
    type: str
    value: msgspec.Raw
    at: datetime
    answered_by: str = ""
