"""What checkout remembers of a conversation, and what a customer's message means against it."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from panier_common import event as wire
from panier_common import routing
from panier_common.contracts import inbound as m
from panier_common.contracts.events import Button, CheckoutRequested, MessageReceived
from panier_common.event import Received

from panier_checkout.draft import Draft

# Presses that wait for the answer about stock; more than these are answered by it as well.
HELD_LIMIT = 64


class Held(Struct, frozen=True):
    """A record about the draft that came while it was frozen: decided once the stock has answered."""

    id: str
    topic: str
    at: datetime
    ce_type: str
    value: msgspec.Raw
    language: str | None = None

    def received(self) -> Received:
        event = wire.decode(self.ce_type, bytes(self.value))
        return Received(self.topic, 0, 0, self.id, self.at, event, {}, self.language)


class Dialogue(Struct, frozen=True, omit_defaults=True):
    """`buttons` are those of the last message sent; `last_summary` is the draft whose summary was sent last.

    `cart_asked` is the wamid of the request for which the cart was asked anew: it is asked once for each.
    """

    conversation: str
    draft: Draft | None = None
    last_summary: str = ""
    last_order: str | None = None
    cart_asked: str = ""
    buttons: tuple[Button, ...] = ()
    held: tuple[Held, ...] = ()
    person: bool = False
    floor_version: int = -1


def holding(dialogue: Dialogue, received: Received) -> Dialogue:
    """The dialogue with this record put aside; Meta's own JSON is of no more use then."""
    event = received.event
    if isinstance(event, MessageReceived):
        event = replace(event, raw=msgspec.Raw(b"null"))
    held = Held(
        received.id,
        received.topic,
        received.at,
        event.ce_type,
        msgspec.Raw(wire.encode(event)),
        received.language,
    )
    return replace(dialogue, held=(*dialogue.held, held)[:HELD_LIMIT])


def typed_press(text: str, buttons: Sequence[Button]) -> Button | None:
    """The button whose title the customer typed instead of pressing it."""
    plain = routing.folded(text) if len(text) <= 100 else ""
    if not plain:
        return None
    return next((button for button in buttons if routing.folded(button.title) == plain), None)


def pressed(message: MessageReceived, buttons: Sequence[Button], languages: tuple[str, ...]) -> str | None:
    """The reply id that the message amounts to: a press, a typed title, or the word for my orders."""
    match message.content:
        case m.Reply(id=reply_id):
            return reply_id
        case m.Text(body=body):
            button = typed_press(body, buttons)
            if button is not None:
                return button.id
            word = routing.word_of(body, languages)
            if word is not None and word.owner == routing.CHECKOUT:
                return routing.reply_id(routing.CHECKOUT, word.asks)
    return None


def about_the_draft(received: Received, reply: routing.Reply | None) -> bool:
    """Whether a record has to wait while the draft is frozen."""
    if isinstance(received.event, CheckoutRequested):
        return True
    return (
        reply is not None
        and reply.owner == routing.CHECKOUT
        and reply.verb in {"collect", "deliver", "confirm", "dismiss"}
    )
