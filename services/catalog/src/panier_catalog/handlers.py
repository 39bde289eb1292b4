"""What the catalogue does about each event: one function an event. Pure; working sets come loaded.

Browsing answers customers; stock answers orders. The two loops share nothing but the products' rows.
"""

from collections.abc import Sequence

from panier_common.contracts.events import (
    EnquiryRaised,
    MessageReceived,
    MessageRequested,
    OrderCancelled,
    OrderExpired,
    OrderPaid,
    OrderPlaced,
    ShopConfigured,
    StockReleased,
    StockRequested,
    StockReserved,
)
from panier_common.contracts.outbound import packed
from panier_common.event import Received
from panier_common.words import Words

from panier_catalog import browsing, menu, search, stock
from panier_catalog.browsing import Ask
from panier_catalog.menu import Answer
from panier_catalog.shelf import CollectionSize, Shelf
from panier_catalog.stock import RELEASED, RESERVED, SOLD, Decision, Hold, Stockroom
from panier_catalog.voice import Voice

WORDS = Words("panier_catalog")


def language_of(received: Received, shop: ShopConfigured) -> str:
    return received.language or shop.languages[0]


def answer_message(shelf: Shelf, received: Received, message: MessageReceived) -> Sequence[MessageRequested]:
    """A word, a button, a link or a question about a product."""
    return _answered(shelf, received, message, message.shop)


def answer_enquiry(shelf: Shelf, received: Received, enquiry: EnquiryRaised) -> Sequence[MessageRequested]:
    """Free text: a search, or the press of a button whose title was typed."""
    return _answered(shelf, received, enquiry, enquiry.shop)


def _answered(
    shelf: Shelf, received: Received, event: MessageReceived | EnquiryRaised, shop_id: str | None
) -> Sequence[MessageRequested]:
    ask = browsing.asked(event)
    shop = shelf.shops.get(shop_id or "")
    if ask is None or shop is None:
        return []
    voice = Voice(WORDS, language_of(received, shop))
    return [
        MessageRequested(
            phone_number_id=event.phone_number_id,
            conversation=event.conversation,
            shop=shop.shop,
            customer=event.customer,
            message=packed(message),
            answers=event.wamid,
            answers_at=event.at,
        )
        for message in _answer(shelf, received, ask, shop, voice)
    ]


def _answer(shelf: Shelf, received: Received, ask: Ask, shop: ShopConfigured, voice: Voice) -> Answer:
    sizes = shelf.collections.get(shop.shop, [])
    match ask:
        case browsing.Greeting():
            return menu.greeting(voice, shop, stocked=bool(sizes))
        case browsing.Catalogue():
            return menu.catalogue(voice, shop, stocked=bool(sizes))
        case browsing.Help():
            return menu.help_(voice)
        case browsing.Menu(page=page):
            return menu.collections(voice, sizes, page)
        case browsing.Collection():
            return _collection(shelf, ask, shop, voice, sizes)
        case browsing.Product(sku=sku):
            product = shelf.products.get((shop.shop, sku))
            return menu.product(voice, shop, product) if product else menu.product_gone(voice)
        case browsing.Search(text=text):
            found = search.choose(shelf.hits.get(received.id, []), text)
            if not found.products and not found.sold_out:
                if browsing.greets(text):
                    return menu.greeting(voice, shop, stocked=bool(sizes))
                if browsing.thanks(text):
                    return menu.thanked(voice)
            return menu.found(voice, shop, text, found)
        case browsing.Foreign():
            return menu.foreign(voice)


def _collection(
    shelf: Shelf, ask: browsing.Collection, shop: ShopConfigured, voice: Voice, sizes: Sequence[CollectionSize]
) -> Answer:
    size = next((size for size in sizes if size.name == ask.name), None)
    skus = shelf.pages.get((shop.shop, ask.name, ask.page))
    if size is None or not skus:
        return menu.collection_gone(voice, sizes)
    return menu.collection(voice, shop, size, skus, ask.page)


def reserve_stock(room: Stockroom, received: Received, request: StockRequested) -> Decision:
    """Reserve all of it or refuse; asked again, answer again without taking anything.

    Only a refused order may try again, by a request of its own: its customer has confirmed what was shown.
    """
    hold = room.holds.get(request.order_id)
    if hold is None or (hold.state == stock.REFUSED and hold.request != received.id):
        return stock.decide(request, received.id, room.items, received.at)
    if hold.refusal is not None and hold.state == stock.REFUSED:
        return Decision(events=(hold.refusal,))
    if hold.state == RELEASED:
        return Decision(events=(_released(request, received),))
    return Decision(events=(StockReserved(request.conversation, request.shop, request.order_id, received.at),))


def sell_placed_stock(room: Stockroom, received: Received, order: OrderPlaced) -> Decision:
    """An order that is paid on collection has no payment to wait for: its stock is sold at once."""
    hold = room.holds.get(order.order_id)
    return stock.sold(hold, room.items) if hold is not None and order.state == "placed" else Decision()


def sell_paid_stock(room: Stockroom, received: Received, order: OrderPaid) -> Decision:
    """What the order held is sold. A refund later takes nothing back into stock: bread comes back to no shelf,
    and whoever restocks says so by the next import."""
    hold = room.holds.get(order.order_id)
    return stock.sold(hold, room.items) if hold is not None else Decision()


def release_cancelled_stock(room: Stockroom, received: Received, order: OrderCancelled) -> Decision:
    """Give back what the order held, also what was sold on collection and will not be collected."""
    return _given_back(room, received, order, (RESERVED, SOLD))


def release_expired_stock(room: Stockroom, received: Received, order: OrderExpired) -> Decision:
    """Give back what was reserved and never paid."""
    return _given_back(room, received, order, (RESERVED,))


def _given_back(
    room: Stockroom, received: Received, order: OrderCancelled | OrderExpired, states: Sequence[str]
) -> Decision:
    hold = room.holds.get(order.order_id)
    if hold is None:
        # The end of an order whose request has not come: remembered, so that it cannot reserve afterwards.
        return Decision(Hold(order.order_id, order.shop, RELEASED))
    decision = stock.released(hold, room.items)
    if hold.state not in states:
        return decision if hold.state == stock.REFUSED else Decision()
    return Decision(decision.hold, decision.items, (_released(order, received),))


def _released(event: StockRequested | OrderCancelled | OrderExpired, received: Received) -> StockReleased:
    return StockReleased(event.conversation, event.shop, event.order_id, received.at)
