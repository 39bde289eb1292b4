"""How records reach the handlers and what they return reaches the database: the service's three loops.

It decides nothing: it loads, hands over, and keeps what came back in the batch's working set.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
from msgspec.structs import replace
from panier_common.batch import Loop
from panier_common.contracts.events import (
    CartAsked,
    Customer,
    EnquiryRaised,
    Event,
    MessageReceived,
    MessageSent,
    OrderPlaced,
    OrderRepeated,
    ProductChanged,
    ShopConfigured,
    StateMoved,
)
from panier_common.contracts.inbound import Reply, Text
from panier_common.effects import Effect, Publish, SetTimer
from panier_common.event import OWNER, Gone, Headers, Received, types_of
from panier_common.postgres import Connection
from panier_common.routing import CART as ME
from panier_common.routing import parse_reply
from panier_common.shown import OLD_AFTER, is_old, remembered
from panier_common.topics import ENQUIRY, INBOUND, ORDER, PRODUCT, SENT

from panier_cart import db, handlers
from panier_cart.cart import Ask, Cart, CatalogueAwaited, Product
from panier_cart.handlers import Decision

# A product may be on its way while its catalogue is being imported (DESIGN, section 4).
CATALOGUE_WAIT_SECONDS = 2.0

_ORDER_TYPES = types_of([OrderPlaced, OrderRepeated, CartAsked])


class Shops(Protocol):
    """What the loop asks of the directory of shops."""

    @property
    def loaded(self) -> bool: ...

    @property
    def by_id(self) -> Mapping[str, ShopConfigured]: ...


class ShopsNotLoadedError(RuntimeError):
    """Waited out: without its shop no message can be answered."""


@dataclass
class Conversations:
    """One batch's working set: carts by conversation, products by shop and sku, and whose carts changed.

    `shown` is what the conversations of presses remember of messages with buttons.
    """

    carts: dict[str, Cart] = field(default_factory=dict)
    shelves: Mapping[str, Mapping[str, Product]] = field(default_factory=dict)
    shown: Mapping[str, bytes] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)

    def keep(self, decision: Decision) -> list[Effect]:
        """Take the cart over; the effects of the decision."""
        cart = decision.cart
        self.carts[cart.conversation] = cart
        self.changed.add(cart.conversation)
        effects: list[Effect] = [Publish(event) for event in decision.events]
        if decision.awaits:
            awaited = CatalogueAwaited(cart.conversation)
            effects.append(SetTimer(cart.conversation, CATALOGUE_WAIT_SECONDS, awaited))
        return effects


def conversations(shops: Shops) -> Loop[Conversations]:
    """Customers' messages for the cart, typed titles, and what orders do to it."""

    async def load(connection: Connection, batch: Sequence[Received]) -> Conversations:
        if not shops.loaded:
            raise ShopsNotLoadedError
        carts = await db.load_carts(connection, {_conversation(received.event) for received in batch})
        currencies = {shop.shop: shop.currency for shop in shops.by_id.values()}
        shelves = await db.load_products(connection, _needed(batch, carts), currencies)
        pressing = {_conversation(received.event) for received in batch if _names_its_message(received.event)}
        return Conversations(carts, shelves, await db.load_all_shown(connection, pressing) if pressing else {})

    def decide(work: Conversations, received: Received) -> Sequence[Effect]:
        event = received.event
        if isinstance(event, CatalogueAwaited):
            cart = work.carts.get(event.conversation)
            return [] if cart is None else work.keep(handlers.answer_waiting(cart, work.shelves.get(cart.shop, {})))
        shop_id = _shop(event)
        if shop_id is None:
            return []  # a number of no shop: answered by nobody
        shop = shops.by_id.get(shop_id)
        if shop is None:
            raise LookupError(f"shop {shop_id!r} is not configured")
        return _decide(work, received, shop, received.language or shop.languages[0])

    return Loop(
        name="cart.conversations",
        topics=(INBOUND, ENQUIRY, ORDER),
        wants=_wants,
        load=load,
        decide=decide,
        save=save_conversations,
        timer_events=(CatalogueAwaited,),
    )


def _decide(work: Conversations, received: Received, shop: ShopConfigured, language: str) -> Sequence[Effect]:
    shelf = work.shelves.get(shop.shop, {})
    match received.event:
        case MessageReceived() | EnquiryRaised() as event:
            cart = _open_cart(work, event, shop)
            ask = replace(_ask(event, shop, language), old=_is_old(work, event))
            return work.keep(handlers.answer(cart, ask, shelf))
        case OrderPlaced() as event:
            return work.keep(handlers.take_out_order(_open_cart(work, event, shop), event))
        case OrderRepeated() as event:
            cart = _open_cart(work, event, shop)
            return work.keep(handlers.take_in_again(cart, event, shelf, language))
        case CartAsked() as event if event.conversation in work.carts:
            cart = work.carts[event.conversation]
            return work.keep(handlers.request_checkout_again(cart, event, shelf, language))
        case _:
            return []


async def save_conversations(connection: Connection, work: Conversations) -> None:
    if work.changed:
        await db.save_carts(connection, [work.carts[conversation] for conversation in sorted(work.changed)])


def _wants(topic: str, headers: Headers) -> bool:
    return headers.get("ce_type") in _ORDER_TYPES if topic == ORDER.name else headers.get(OWNER) == ME


def _conversation(event: Event) -> str:
    return str(getattr(event, "conversation", ""))


def _shop(event: Event) -> str | None:
    shop: str | None = getattr(event, "shop", None)
    return shop


def _open_cart(
    work: Conversations, event: MessageReceived | EnquiryRaised | OrderPlaced | OrderRepeated, shop: ShopConfigured
) -> Cart:
    """The conversation's cart, with the ids its customer showed now; a new one when there was none."""
    now = event.customer
    cart = work.carts.get(event.conversation)
    if cart is None:
        known = Customer(now.user_id, now.wa_id)
        return Cart(event.conversation, event.phone_number_id, shop.shop, known, shop.currency)
    known = Customer(now.user_id or cart.customer.user_id, now.wa_id or cart.customer.wa_id)
    if known != cart.customer or shop.shop != cart.shop or shop.currency != cart.currency:
        return replace(cart, customer=known, shop=shop.shop, currency=shop.currency)
    return cart


def _ask(event: MessageReceived | EnquiryRaised, shop: ShopConfigured, language: str) -> Ask:
    if isinstance(event, MessageReceived):
        content = event.content
    else:
        content = Text(event.text) if event.reply_id is None else Reply(event.reply_id, event.text)
    return Ask(
        event.conversation,
        event.phone_number_id,
        shop.shop,
        event.customer,
        event.wamid,
        event.at,
        language,
        content,
    )


def _names_its_message(event: Event) -> bool:
    """Whether this is a press that says which message held the button."""
    if not isinstance(event, MessageReceived) or event.context is None or event.context.message_id is None:
        return False
    return isinstance(event.content, Reply) and _acts(event.content.id)


def _acts(reply: str) -> bool:
    press = parse_reply(reply)
    return press is not None and handlers.acts(press)


def _is_old(work: Conversations, event: MessageReceived | EnquiryRaised) -> bool | None:
    """Whether a button of long ago was pressed, or its title typed; None when nobody knows."""
    if isinstance(event, EnquiryRaised):
        return None if event.shown_at is None else event.at - event.shown_at > OLD_AFTER
    if not _names_its_message(event) or event.context is None:
        return None
    return is_old(work.shown.get(event.conversation, b""), event.context.message_id or "", event.at)


def _needed(batch: Sequence[Received], carts: Mapping[str, Cart]) -> set[tuple[str, str]]:
    """By shop and sku, the products that this batch may look at: what is asked, and what carts hold.

    A number can have become another shop's, and its carts go along: what a conversation needs is needed of every shop
    that is named with it.
    """
    shops: dict[str, set[str]] = defaultdict(set)
    skus: dict[str, set[str]] = defaultdict(set)
    held = list(carts.items())
    for received in batch:
        event, conversation = received.event, _conversation(received.event)
        if isinstance(event, StateMoved):
            held += [(conversation, cart) for cart in _carts_moved(event)]
        elif shop := _shop(event):
            shops[conversation].add(shop)
            skus[conversation].update(_skus_of_event(event))
    for conversation, cart in held:
        shops[conversation].add(cart.shop)
        skus[conversation].update(_skus_of_cart(cart))
    return {(shop, sku) for conversation, wanted in skus.items() for sku in wanted for shop in shops[conversation]}


def _carts_moved(moved: StateMoved) -> Sequence[Cart]:
    """The cart on its way here. None that cannot be read: deciding on it says so, and blames that record alone."""
    try:
        return [msgspec.json.decode(moved.document, type=Cart)]
    except msgspec.DecodeError:
        return []


def _skus_of_event(event: Event) -> Iterable[str]:
    match event:
        case OrderRepeated():
            return [line.sku for line in event.lines]
        case MessageReceived():
            return handlers.skus_asked(event.content)
        case EnquiryRaised(reply_id=str(reply)):
            return handlers.skus_asked(Reply(reply))
        case _:
            return ()


def _skus_of_cart(cart: Cart) -> Iterator[str]:
    yield from (line.sku for line in cart.lines)
    for ask in cart.waiting:
        yield from handlers.skus_asked(ask.content)


@dataclass
class Products:
    """One batch's working set: products that ended, and after that the last word on each, by (shop, sku)."""

    gone: set[tuple[str, str]] = field(default_factory=set)
    said: dict[tuple[str, str], ProductChanged] = field(default_factory=dict)


async def _no_products(connection: Connection, batch: Sequence[Received]) -> Products:
    return Products()  # the database itself compares versions


def _keep_product(work: Products, received: Received) -> Sequence[Effect]:
    event = received.event
    if isinstance(event, Gone):
        shop, _, sku = event.key.partition("+")
        work.gone.add((shop, sku))
        work.said.pop((shop, sku), None)
    elif isinstance(event, ProductChanged):
        before = work.said.get((event.shop, event.sku))
        if before is None or before.version < event.version:
            work.said[event.shop, event.sku] = event
    return []


async def save_products(connection: Connection, work: Products) -> None:
    if work.gone:
        await db.delete_products(connection, work.gone)
    if work.said:
        await db.save_products(connection, list(work.said.values()))


def products() -> Loop[Products]:
    """The products that carts are priced by, as the compacted topic has them."""
    return Loop(
        name="cart.products",
        topics=(PRODUCT,),
        wants=lambda topic, headers: True,
        load=_no_products,
        decide=_keep_product,
        save=save_products,
        remembers=False,
    )


@dataclass
class Shown:
    """One batch's working set: what conversations remember of messages with buttons, and which of it is new."""

    memories: dict[str, bytes]
    changed: set[str] = field(default_factory=set)


async def _load_memories(connection: Connection, batch: Sequence[Received]) -> Shown:
    showing = {_conversation(received.event) for received in batch if _shows_what_acts(received.event)}
    return Shown(await db.load_shown(connection, showing) if showing else {})


def _shows_what_acts(event: Event) -> bool:
    return isinstance(event, MessageSent) and any(_acts(button.id) for button in event.buttons)


def _remember(work: Shown, received: Received) -> Sequence[Effect]:
    event = received.event
    if isinstance(event, MessageSent) and _shows_what_acts(event):
        known = work.memories.get(event.conversation, b"")
        work.memories[event.conversation] = remembered(known, event.wamid, event.at)
        work.changed.add(event.conversation)
    return []


async def _save_memories(connection: Connection, work: Shown) -> None:
    if work.changed:
        await db.save_shown(connection, {one: work.memories[one] for one in work.changed})


def shown() -> Loop[Shown]:
    """When messages with the cart's acting buttons were sent. Apart, so that no answer waits for it."""
    return Loop(
        name="cart.shown",
        topics=(SENT,),
        wants=lambda topic, headers: headers.get("ce_type") == MessageSent.ce_type,
        load=_load_memories,
        decide=_remember,
        save=_save_memories,
        remembers=False,
    )
