"""The cart in a customer's words: every message this service can answer with. Pure; it decides nothing.

However long a cart is, every line of it is said: what does not fit a message with buttons goes before it as
plain text. Only names that shops chose are ever shortened.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from panier_common.contracts.outbound import (
    BODY_LIMIT,
    MAX_ROWS,
    ROW_DESCRIPTION_LIMIT,
    ROW_TITLE_LIMIT,
    TEXT_LIMIT,
    ButtonsMessage,
    ListMessage,
    Message,
    ReplyButton,
    Row,
    Section,
    TextMessage,
    clip,
)
from panier_common.money import show
from panier_common.routing import CART, reply_id
from panier_common.words import Words

from panier_cart.cart import Cart, CartLine
from panier_cart.pricing import NAME_LIMIT, Notice

MAX_NOTICES = 20

words = Words("panier_cart")

_ORDER, _EDIT, _SHOP = ("checkout:start", "order"), ("cart:edit", "edit"), ("catalog:menu", "shop")
_MENU, _ORDERS, _CART = ("catalog:menu", "menu"), ("checkout:orders", "orders"), ("cart:show", "cart")


def cart_shown(cart: Cart, language: str, *, lead: str = "", notices: Sequence[Notice] = ()) -> tuple[Message, ...]:
    """Every line, the total, what changed, and the ways on. `lead` is a first sentence."""
    if not cart.lines:
        return nothing_shown(cart, language, "cart.empty", lead=lead, notices=notices)
    total = words(language, "cart.total", total=show(cart.total_minor, cart.currency, language))
    lines = [_line_text(line, cart.currency, language) for line in cart.lines]
    paragraphs = [
        lead,
        "\n".join([words(language, "cart.heading"), *lines]),
        words(language, "cart.note", note=cart.note) if cart.note else "",
        notices_text(notices, cart.currency, language),
    ]
    whole = _joined([*paragraphs[:3], total, paragraphs[3]])
    buttons = _buttons(language, _ORDER, _EDIT, _SHOP)
    if len(whole) <= BODY_LIMIT:
        return (ButtonsMessage(body=whole, buttons=buttons),)
    closing = f"{words.count(language, 'cart.size', len(cart.lines))}\n{total}"
    return (*_texts(_joined(paragraphs)), ButtonsMessage(body=closing, buttons=buttons))


def nothing_shown(
    cart: Cart, language: str, why: str, *, lead: str = "", notices: Sequence[Notice] = ()
) -> tuple[Message, ...]:
    """There is nothing in the cart: `why` is the word that says so; with the menu and the orders."""
    text = words(language, why)
    buttons = _buttons(language, _MENU, _ORDERS)
    before = _joined([lead, notices_text(notices, cart.currency, language)])
    whole = _joined([before, text])
    if len(whole) <= BODY_LIMIT:
        return (ButtonsMessage(body=whole, buttons=buttons),)
    return (*_texts(before), ButtonsMessage(body=text, buttons=buttons))


def changes_shown(cart: Cart, language: str, notices: Sequence[Notice]) -> tuple[Message, ...]:
    """What changed since the customer looked, on its own: the order's summary follows."""
    return _texts(notices_text(notices, cart.currency, language))


def other_currency_shown(theirs: str, ours: str, language: str) -> tuple[Message, ...]:
    text = words(language, "cart.other_currency", theirs=clip(theirs, 10) or "?", ours=ours)
    return (ButtonsMessage(body=text, buttons=_buttons(language, _MENU, _CART)),)


def editable(line: CartLine) -> bool:
    """Whether buttons can name the line: a sku too long for a reply id can only be emptied with the cart."""
    try:
        reply_id(CART, "remove", line.sku)
    except ValueError:
        return False
    return True


def line_shown(cart: Cart, line: CartLine, language: str) -> tuple[Message, ...]:
    """One line with more, fewer and remove."""
    text = words(
        language,
        "edit.line",
        quantity=line.quantity,
        title=line.title,
        total=show(line.total_minor, cart.currency, language),
        unit=show(line.unit_minor, cart.currency, language),
    )
    buttons = tuple(
        ReplyButton(id=reply_id(CART, verb, line.sku), title=words(language, f"button.{verb}"))
        for verb in ("more", "fewer", "remove")
    )
    return (ButtonsMessage(body=clip(text, BODY_LIMIT), buttons=buttons),)


def lines_to_edit(cart: Cart, language: str, page: int) -> tuple[Message, ...]:
    """The lines as a list to pick from, paged; the page after the last is the first."""
    lines = [line for line in cart.lines if editable(line)]
    per_page = MAX_ROWS - 1 if len(lines) < MAX_ROWS else MAX_ROWS - 2
    pages = max(1, -(-len(lines) // per_page))
    page = (page - 1) % pages
    rows = [_row(cart, line, language) for line in lines[page * per_page : (page + 1) * per_page]]
    if pages > 1:
        following = (page + 1) % pages + 1
        rows.append(
            Row(
                id=reply_id(CART, "edit", str(following)),
                title=words(language, "edit.more"),
                description=words(language, "edit.more_row", page=following, pages=pages),
            )
        )
    rows.append(
        Row(
            id="cart:empty",
            title=words(language, "edit.empty"),
            description=words(language, "edit.empty_row"),
        )
    )
    body = words(
        language,
        "edit.body",
        size=words.count(language, "cart.size", len(cart.lines)),
        total=show(cart.total_minor, cart.currency, language),
    )
    sections = (Section(rows=tuple(rows)),)
    return (ListMessage(body=body, button=words(language, "edit.button"), sections=sections),)


def notices_text(notices: Iterable[Notice], currency: str, language: str) -> str:
    """What the customer should know, a line each; none twice, and not endlessly many."""
    distinct = list(dict.fromkeys(notices))
    if not distinct:
        return ""
    said = [_notice(notice, currency, language) for notice in distinct[:MAX_NOTICES]]
    if len(distinct) > MAX_NOTICES:
        said.append(words.count(language, "notice.others", len(distinct) - MAX_NOTICES))
    return "\n".join([words(language, "notice.heading"), *said])


def _notice(notice: Notice, currency: str, language: str) -> str:
    if notice.kind == "price":
        now, was = (show(minor, currency, language) for minor in (notice.now_minor, notice.was_minor))
        return words(language, "notice.price", name=notice.name, now=now, was=was)
    return words(language, f"notice.{notice.kind}", name=notice.name, limit=notice.limit)


@lru_cache(maxsize=4096)
def _line_text(line: CartLine, currency: str, language: str) -> str:
    return words(
        language,
        "cart.line",
        quantity=line.quantity,
        title=clip(line.title, NAME_LIMIT),
        total=show(line.total_minor, currency, language),
    )


def _row(cart: Cart, line: CartLine, language: str) -> Row:
    text = words(
        language,
        "edit.row",
        quantity=line.quantity,
        unit=show(line.unit_minor, cart.currency, language),
        total=show(line.total_minor, cart.currency, language),
    )
    return Row(
        id=reply_id(CART, "line", line.sku),
        title=clip(line.title, ROW_TITLE_LIMIT),
        description=clip(text, ROW_DESCRIPTION_LIMIT),
    )


@lru_cache(maxsize=256)
def _buttons(language: str, *wanted: tuple[str, str]) -> tuple[ReplyButton, ...]:
    return tuple(ReplyButton(id=reply, title=words(language, f"button.{name}")) for reply, name in wanted)


def _joined(paragraphs: Iterable[str]) -> str:
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def _texts(text: str) -> tuple[Message, ...]:
    """The text as messages of whole lines; a single line longer than a message is cut where it must be."""
    pages: list[str] = []
    page = ""
    for line in text.split("\n"):
        for piece in (line[i : i + TEXT_LIMIT] for i in range(0, len(line) or 1, TEXT_LIMIT)):
            if page and len(page) + 1 + len(piece) > TEXT_LIMIT:
                pages.append(page)
                page = piece
            else:
                page = f"{page}\n{piece}" if page else piece
    return tuple(TextMessage(body=body) for body in (*pages, page) if body.strip())
