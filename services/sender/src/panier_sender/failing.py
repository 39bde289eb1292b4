"""What is told to people when a message, or a whole number, cannot go on: sentences and dead letters. Pure.

A dead letter of the sender is an event of its own that takes the message up again when a person replays it.
"""

import msgspec
from panier_common.contracts.events import Event, ShopConfigured
from panier_common.words import Words

from panier_sender.errors import Class, Rule
from panier_sender.happenings import MessageReturned, NumberReleased
from panier_sender.line import Entry
from panier_sender.pacing import Hold

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


def needs_a_person(before: Hold | None, after: Hold | None, rule: Rule) -> bool:
    """Whether this refusal is the one to tell of: once for each stop, not for each message that waits."""
    if after is None or after == before:
        return False
    if rule.kind is Class.STOP_SHOP:
        return before is None or before.kind is not Class.STOP_SHOP
    return rule.kind is Class.PARK and after.strikes == TOKEN_STRIKES
