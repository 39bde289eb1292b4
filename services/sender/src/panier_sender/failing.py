"""What is told when a message, or a whole number, cannot go on: to the shop sentences and dead letters, to the
customer who waits for it a way on. Pure.

A dead letter of the sender is an event of its own that takes the message up again when a person replays it.
"""

import msgspec
from panier_common.contracts.events import Customer, Event, MessageRequested, ShopConfigured
from panier_common.contracts.outbound import ButtonsMessage, ReplyButton, packed
from panier_common.routing import CHECKOUT, CONSOLE, reply_id
from panier_common.words import Words

from panier_sender.errors import Class, Rule
from panier_sender.happenings import MessageReturned, NumberReleased
from panier_sender.line import Entry
from panier_sender.pacing import Hold
from panier_sender.window import ANSWER

# A single product comes with its own words and buttons.
_OF_PRODUCTS = frozenset({"catalogue", "product_list", "carousel"})

WORDS = Words("panier_sender")

# A token is also refused in passing: only after that many times in a row is it a person's business.
TOKEN_STRIKES = 3


class Letter(msgspec.Struct, frozen=True):
    """A dead letter to be kept. `event` is what its replay brings back."""

    key: str
    home: int
    event: Event
    reason: str
    traceparent: str | None = None


def sentence(shop: ShopConfigured | None, reason: str, code: int) -> str:
    """Why, in the shop's own language; with Meta's code, for who wants to look it up."""
    language = shop.languages[0] if shop is not None and shop.languages else ""
    said = WORDS(language, f"failed.{reason}")
    return f"{said} ({code})" if code else said


def message_letter(entry: Entry, said: str) -> Letter:
    event = MessageReturned(entry.phone_number_id, entry.conversation, entry)
    return Letter(f"message:{entry.id}", entry.home, event, said, entry.traceparent)


def number_letter(number: str, home: int, said: str) -> Letter:
    return Letter(f"number:{number}", home, NumberReleased(number), said)


class _Recipient(msgspec.Struct):
    to: str = ""
    recipient: str = ""


def way_on(entry: Entry, shop: ShopConfigured | None) -> MessageRequested | None:
    """For a customer who asked to see products that WhatsApp does not show: Meta's copy of the catalogue may lag
    behind the shop's. None for all else, and so for this answer itself.
    """
    if entry.kind not in _OF_PRODUCTS or entry.lane != ANSWER or shop is None:
        return None
    language = shop.languages[0]
    buttons = (
        ReplyButton(id=reply_id(CONSOLE, "person"), title=WORDS(language, "unseen.person")),
        ReplyButton(id=reply_id(CHECKOUT, "orders"), title=WORDS(language, "unseen.orders")),
    )
    whom = msgspec.json.decode(entry.body, type=_Recipient)
    return MessageRequested(
        entry.phone_number_id,
        entry.conversation,
        shop.shop,
        Customer(whom.recipient or None, whom.to.lstrip("+") or None),
        packed(ButtonsMessage(body=WORDS(language, "unseen.text"), buttons=buttons)),
        ANSWER,
        answers_at=entry.answers_at,
    )


def needs_a_person(before: Hold | None, after: Hold | None, rule: Rule) -> bool:
    """Whether this refusal is the one to tell of: once for each stop, not for each message that waits."""
    if after is None or after == before:
        return False
    if rule.kind is Class.STOP_SHOP:
        return before is None or before.kind is not Class.STOP_SHOP
    return rule.kind is Class.PARK and after.strikes == TOKEN_STRIKES
