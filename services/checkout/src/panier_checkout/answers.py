"""What the customer reads while ordering: the questions, the summary, and what stands in the way.

Each function returns whole messages, in order; texts too long for a message with buttons go before it.
"""

from collections.abc import Sequence

from panier_common import routing
from panier_common.contracts.events import (
    Address,
    Delivery,
    Line,
    ShopConfigured,
    ShortLine,
    StockRefused,
)
from panier_common.contracts.outbound import (
    BODY_LIMIT,
    TEXT_LIMIT,
    ButtonsMessage,
    LocationRequestMessage,
    Message,
    ReplyButton,
    TextMessage,
    clip,
)

from panier_checkout.draft import ADDRESS_LIMIT, Draft
from panier_checkout.fulfilment import Way, ways
from panier_checkout.voice import Voice

Messages = tuple[Message, ...]
# One line of a message: a title, an address or a note that is longer is shortened.
_LINE_LIMIT = 1200


def with_buttons(lines: Sequence[str], closing: str, *buttons: ReplyButton) -> Messages:
    """The lines, then the closing words over the buttons: one message if it fits, else texts before it."""
    whole = "\n".join([*lines, "", closing]) if lines else closing
    if len(whole) <= BODY_LIMIT:
        return (ButtonsMessage(body=whole, buttons=buttons),)
    texts: list[str] = []
    for line in (clip(line, _LINE_LIMIT) if len(line) > _LINE_LIMIT else line for line in lines):
        if texts and len(texts[-1]) + 1 + len(line) <= TEXT_LIMIT:
            texts[-1] += "\n" + line
        else:
            texts.append(line)
    return (
        *(TextMessage(body=text) for text in texts if text.strip()),
        ButtonsMessage(body=clip(closing, BODY_LIMIT), buttons=buttons),
    )


def line_texts(voice: Voice, lines: Sequence[Line], currency: str) -> list[str]:
    return [
        voice(
            "line",
            quantity=line.quantity,
            title=clip(line.title or line.sku, 200),
            amount=voice.money(line.total_minor, currency),
        )
        for line in lines
    ]


def address_text(address: Address) -> str:
    """The address as people read it; a shared place without words by its coordinates."""
    return address.text or f"{address.latitude:.5f}, {address.longitude:.5f}"


def ask_way(voice: Voice, shop: ShopConfigured, draft: Draft, *before: str) -> Messages:
    """Collect or delivery: always asked; a way the goods do not qualify for is named without a button."""
    offered = ways(shop, draft.goods_minor)
    total = voice.money(draft.goods_minor, draft.currency)
    lines = [*before, voice("way.total", total=total)]
    lines += [_way_text(voice, shop, way, draft.currency) for way in offered if way.name == "deliver"]
    buttons = [voice.button(way.name, routing.CHECKOUT, way.name) for way in offered if way.qualifies]
    if not offered:
        return with_buttons(lines, voice("way.none"), voice.person(), voice.cart())
    if not buttons:
        return with_buttons(lines, voice("way.nothing_yet"), voice.menu(), _edit(voice))
    return with_buttons(lines, voice("way.ask"), *buttons)


def _way_text(voice: Voice, shop: ShopConfigured, way: Way, currency: str) -> str:
    rules = shop.delivery or Delivery()
    if not way.qualifies:
        return voice(
            "way.missing",
            minimum=voice.money(rules.minimum_minor or 0, currency),
            missing=voice.money(way.missing_minor, currency),
        )
    if way.fee_minor == 0:
        return voice("way.free")
    fee = voice.money(way.fee_minor, currency)
    if rules.free_from_minor is None:
        return voice("way.fee", fee=fee)
    return voice("way.free_from", fee=fee, free_from=voice.money(rules.free_from_minor, currency))


def ask_address(voice: Voice, *before: str) -> Messages:
    return (LocationRequestMessage(body="\n".join([*before, voice("address.ask", limit=ADDRESS_LIMIT)])),)


def address_too_long(voice: Voice, length: int) -> Messages:
    return ask_address(voice, voice("address.too_long", length=length, limit=ADDRESS_LIMIT))


def address_unreadable(voice: Voice) -> Messages:
    return ask_address(voice, voice("address.unreadable"))


def summary(voice: Voice, draft: Draft, *before: str) -> Messages:
    """Everything that will be ordered, and the button that does it."""
    lines = [*before, voice("summary.title"), *line_texts(voice, draft.lines, draft.currency)]
    if draft.fee_minor:
        lines.append(voice("summary.fee", fee=voice.money(draft.fee_minor, draft.currency)))
    elif draft.way == "deliver":
        lines.append(voice("way.free"))
    lines.append(_way_of(voice, draft))
    if draft.note:
        lines.append(voice("summary.note", note=draft.note))
    return with_buttons(
        lines,
        voice("summary.total", total=voice.money(draft.total_minor, draft.currency)),
        voice.button("confirm", routing.CHECKOUT, "confirm", draft.draft_id),
        voice.button("dismiss", routing.CHECKOUT, "dismiss"),
    )


def _way_of(voice: Voice, draft: Draft) -> str:
    if draft.address is None:
        return voice("summary.collect")
    return voice("summary.deliver", address=address_text(draft.address))


def price_changes(voice: Voice, draft: Draft, refused: StockRefused) -> list[str]:
    """One line for each price that is another than the customer read."""
    known = {line.sku: line for line in draft.lines}
    return [
        voice(
            "stock.repriced",
            title=_title(line, known),
            was=voice.money(known[line.sku].unit_minor, draft.currency),
            now=voice.money(line.unit_minor, draft.currency),
        )
        for line in refused.repriced
        if line.sku in known and line.unit_minor is not None
    ]


def stock_short(voice: Voice, draft: Draft, refused: StockRefused) -> Messages:
    """What there is not enough of, and how to go on."""
    known = {line.sku: line for line in draft.lines}
    lines = [
        voice("stock.short", title=_title(line, known), wanted=line.wanted, available=line.available)
        if line.available
        else voice("stock.sold_out", title=_title(line, known))
        for line in refused.short
    ]
    lines += price_changes(voice, draft, refused)
    return with_buttons(
        [voice("stock.refused"), *lines], voice("stock.next"), _edit(voice), voice.menu(), voice.person()
    )


def _title(line: ShortLine, known: dict[str, Line]) -> str:
    title = line.title or (known[line.sku].title if line.sku in known else "")
    return clip(title or line.sku, 200)


def stock_silent(voice: Voice) -> Messages:
    """Nobody answered about the stock: nothing was ordered."""
    return with_buttons(
        [], voice("stock.silent"), voice.button("start", routing.CHECKOUT, "start"), voice.cart(), voice.menu()
    )


def dismissed(voice: Voice) -> Messages:
    return with_buttons([], voice("dismissed"), voice.cart(), voice.menu())


def no_draft(voice: Voice) -> Messages:
    """A button of ordering when nothing is being ordered."""
    return with_buttons([], voice("no_draft"), voice.cart(), voice.menu(), voice.orders())


def unexpected_place(voice: Voice) -> Messages:
    return with_buttons([], voice("unexpected_place"), voice.menu(), voice.cart(), voice.orders())


def gone(voice: Voice) -> Messages:
    """A button of another time."""
    return with_buttons([], voice("gone"), voice.menu(), voice.cart(), voice.orders())


def _edit(voice: Voice) -> ReplyButton:
    return voice.button("edit", routing.CART, "edit")
