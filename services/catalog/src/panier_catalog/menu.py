"""What customers are answered: each function makes the messages of one answer. Pure.

Every text comes from the words of the customer's language; every refusal offers a way on.
"""

from collections.abc import Sequence

from panier_common.contracts.events import ShopConfigured
from panier_common.contracts.outbound import (
    MAX_SECTIONS,
    ROW_DESCRIPTION_LIMIT,
    ROW_TITLE_LIMIT,
    SECTION_TITLE_LIMIT,
    ButtonsMessage,
    CatalogueMessage,
    ListMessage,
    Message,
    ProductListMessage,
    ProductMessage,
    ProductSection,
    ReplyButton,
    Row,
    Section,
    clip,
)
from panier_common.money import show
from panier_common.routing import CART, CATALOG, CHECKOUT, CONSOLE, reply_id

from panier_catalog.search import Found, Hit
from panier_catalog.shelf import CollectionSize, Product
from panier_catalog.voice import Voice

ROWS = 9  # of a list's ten, one may be needed for "more"
FEW = 5  # so few pieces left are worth saying
_DESCRIPTION = 600
_QUERY = 60

Answer = list[Message]


def _button(voice: Voice, what: str) -> ReplyButton:
    ids = {
        "catalogue": reply_id(CATALOG, "menu"),
        "cart": reply_id(CART, "show"),
        "orders": reply_id(CHECKOUT, "orders"),
        "person": reply_id(CONSOLE, "person"),
    }
    return ReplyButton(id=ids[what], title=voice(f"button.{what}"))


def _buttons(voice: Voice, body: str, *what: str) -> ButtonsMessage:
    return ButtonsMessage(body=body, buttons=tuple(_button(voice, name) for name in what))


def greeting(voice: Voice, shop: ShopConfigured, *, stocked: bool) -> Answer:
    """Welcome, the catalogue, and where to go from here."""
    welcome = voice("greeting.welcome", shop=clip(shop.name, 200))
    if not stocked:
        # The catalogue message of an empty catalogue would be refused.
        return [_buttons(voice, f"{welcome}\n\n{voice('menu.empty')}", "person", "orders")]
    return [
        CatalogueMessage(body=welcome),
        _buttons(voice, voice("greeting.ways"), "catalogue", "cart", "orders"),
    ]


def catalogue(voice: Voice, shop: ShopConfigured, *, stocked: bool) -> Answer:
    if not stocked:
        return [empty(voice)]
    return [CatalogueMessage(body=voice("catalogue.whole", shop=clip(shop.name, 200)))]


def help_(voice: Voice) -> Answer:
    return [_buttons(voice, voice("help.text"), "catalogue", "cart", "person")]


def foreign(voice: Voice) -> Answer:
    """For a button of another time or another hand."""
    return [_buttons(voice, voice("foreign.text"), "catalogue", "cart", "orders")]


def empty(voice: Voice) -> Message:
    return _buttons(voice, voice("menu.empty"), "person", "orders")


def collections(voice: Voice, sizes: Sequence[CollectionSize], page: int, *, lead: str = "") -> Answer:
    """The collections as a list, `ROWS` a page when they are more than fit into one. `lead` comes first."""
    if not sizes:
        return [empty(voice)]
    shown, more = _page_of(sizes, page)
    rows = [
        Row(
            id=reply_id(CATALOG, "collection", size.name),
            title=clip(size.name, ROW_TITLE_LIMIT),
            description=clip(voice.count("menu.products", size.count), ROW_DESCRIPTION_LIMIT),
        )
        for size in shown
    ]
    if more:
        rows.append(Row(id=reply_id(CATALOG, "menu", str(more)), title=voice("menu.more")))
    body = f"{lead}\n\n{voice('menu.body')}" if lead else voice("menu.body")
    return [ListMessage(body=body, button=voice("menu.button"), sections=(Section(rows=tuple(rows)),))]


def _page_of(sizes: Sequence[CollectionSize], page: int) -> tuple[Sequence[CollectionSize], int]:
    """The collections of this page, and the page after it: 1 after the last, 0 when there is only one."""
    if len(sizes) <= ROWS + 1:
        return sizes, 0
    pages = -(-len(sizes) // ROWS)
    page = page if page <= pages else 1
    return sizes[(page - 1) * ROWS : page * ROWS], page % pages + 1


def collection(voice: Voice, shop: ShopConfigured, size: CollectionSize, skus: Sequence[str], page: int) -> Answer:
    """One page of a collection's products and, where there are more, the way to them."""
    name = clip(size.name, 200)
    products = ProductListMessage(
        catalog_id=shop.catalog_id,
        header=clip(size.name, 60),
        body=voice.count("collection.body", size.count, name=name),
        sections=(ProductSection(title=clip(size.name, SECTION_TITLE_LIMIT), skus=tuple(skus)),),
        footer=voice("footer"),
    )
    if page >= size.pages:
        return [products]
    more = ReplyButton(id=reply_id(CATALOG, "collection", size.name, str(page + 1)), title=voice("button.more"))
    paging = ButtonsMessage(
        body=voice("collection.page", page=page, pages=size.pages),
        buttons=(more, _button(voice, "catalogue"), _button(voice, "cart")),
    )
    return [products, paging]


def collection_gone(voice: Voice, sizes: Sequence[CollectionSize]) -> Answer:
    return collections(voice, sizes, 1, lead=voice("collection.gone"))


def product(voice: Voice, shop: ShopConfigured, shown: Product) -> Answer:
    """The product with price and availability, to be put in the cart or asked about."""
    body = "\n".join(
        line
        for line in (
            f"*{clip(shown.title, 150)}*",
            clip(shown.description, _DESCRIPTION),
            f"{show(shown.price_minor, shown.currency, voice.language)} · {_availability(voice, shown)}",
        )
        if line
    )
    if shown.sold_out:
        return [_buttons(voice, body, "catalogue", "person")]
    add = ReplyButton(id=reply_id(CART, "add", shown.sku), title=voice("button.add"))
    return [
        ProductMessage(catalog_id=shop.catalog_id, sku=shown.sku),
        ButtonsMessage(body=body, buttons=(add, _button(voice, "person"), _button(voice, "catalogue"))),
    ]


def _availability(voice: Voice, shown: Product) -> str:
    if shown.sold_out:
        return voice("product.sold_out")
    if shown.available is not None and shown.available <= FEW:
        return voice.count("product.left", shown.available)
    return voice("product.available")


def product_gone(voice: Voice) -> Answer:
    return [_buttons(voice, voice("product.gone"), "catalogue", "person")]


def found(voice: Voice, shop: ShopConfigured, text: str, result: Found) -> Answer:
    """The best matches as a product list, or what there is instead."""
    query = clip(" ".join(text.split()), _QUERY)
    names = ", ".join(clip(title, 80) for title in result.sold_out)
    if not result.products:
        body = voice("search.sold_out", names=names) if names else voice("search.nothing", query=query)
        return [_buttons(voice, body, "catalogue", "person")]
    if names:
        body = voice("search.instead", names=names)
    else:
        # A product list has no buttons: the way to a person is a word in the text.
        body = voice("search.found" if result.matches else "search.near", query=query)
    return [
        ProductListMessage(
            catalog_id=shop.catalog_id,
            header=voice("search.header"),
            body=body,
            sections=_sections(result.products),
            footer=voice("footer"),
        )
    ]


def thanked(voice: Voice) -> Answer:
    return [_buttons(voice, voice("thanks.text"), "catalogue", "cart", "orders")]


def _sections(hits: Sequence[Hit]) -> tuple[ProductSection, ...]:
    """By collection, in the order of the best hit of each; what is beyond the last section is left out."""
    by_collection: dict[str, list[str]] = {}
    for hit in hits:
        by_collection.setdefault(hit.collection, []).append(hit.sku)
    return tuple(
        ProductSection(title=clip(name, SECTION_TITLE_LIMIT), skus=tuple(skus))
        for name, skus in list(by_collection.items())[:MAX_SECTIONS]
    )
