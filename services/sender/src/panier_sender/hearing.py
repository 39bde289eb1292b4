"""What the sender does about each message of a customer: the 24-hour window, "stop", and marking it read."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec
from panier_common.contracts import inbound as m
from panier_common.contracts.events import MessageReceived, MessageRequested, ShopConfigured
from panier_common.contracts.outbound import TextMessage, packed
from panier_common.effects import Effect, Publish
from panier_common.event import OWNER, Received
from panier_common.routing import CONSOLE, SENDER
from panier_common.words import Words

from panier_sender.window import ANSWER, Window, heard

WORDS = Words("panier_sender")


class Receipt(msgspec.Struct, frozen=True):
    """A customer's message to mark read; `typing` when an answer will follow."""

    phone_number_id: str
    wamid: str
    typing: bool


# Older messages are read late: they count towards no second of now, and nobody waits to see them read.
FRESH_FOR = timedelta(seconds=30)


@dataclass
class Hearing:
    """The working set of a batch of customers' messages. `fresh` counts those of just now, by number."""

    shops: Mapping[str, ShopConfigured]
    windows: dict[str, Window] = field(default_factory=dict)
    now: datetime | None = None
    fresh: Counter[str] = field(default_factory=Counter)
    changed: dict[str, Window] = field(default_factory=dict)
    receipts: list[Receipt] = field(default_factory=list)

    def put(self, conversation: str, window: Window) -> None:
        if window != self.windows.get(conversation, Window()):
            self.windows[conversation] = self.changed[conversation] = window


def hear(hearing: Hearing, received: Received) -> Sequence[Effect]:
    """Remember when the customer wrote; answer a stop, which the sender owns."""
    event = received.event
    if not isinstance(event, MessageReceived):
        return []
    if event.group_id is not None:  # said to a group: neither opens the customer's window nor stops anything
        return []
    owner = received.headers.get(OWNER)
    before = hearing.windows.get(event.conversation) or Window()
    window = heard(before, event.content, event.at, stop=owner == SENDER)
    hearing.put(event.conversation, window)
    if event.shop is None:
        return []
    if hearing.now is not None and hearing.now - event.at > FRESH_FOR:
        return [confirm_stop(hearing, received, event, event.shop)] if owner == SENDER else []
    hearing.fresh[event.phone_number_id] += 1
    if not isinstance(event.content, m.System | m.Reaction | m.Edit | m.Revoke):
        hearing.receipts.append(Receipt(event.phone_number_id, event.wamid, owner != CONSOLE))
    return [confirm_stop(hearing, received, event, event.shop)] if owner == SENDER else []


def confirm_stop(hearing: Hearing, received: Received, event: MessageReceived, shop_id: str) -> Publish:
    shop = hearing.shops.get(shop_id)
    language = received.language or (shop.languages[0] if shop and shop.languages else "")
    return Publish(
        MessageRequested(
            phone_number_id=event.phone_number_id,
            conversation=event.conversation,
            shop=shop_id,
            customer=event.customer,
            message=packed(TextMessage(body=WORDS(language, "stop.confirmed"))),
            lane=ANSWER,
            answers=event.wamid,
            answers_at=event.at,
        )
    )
