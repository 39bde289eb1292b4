"""What checkout remembers of a conversation, and what a customer's message means against it."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from panier_common import event as wire
from panier_common import routing
from panier_common.contracts import inbound as m
from panier_common.contracts.events import Button, CheckoutRequested, MessageReceived, MessageSent
from panier_common.event import Received
from panier_common.shown import OLD_AFTER, is_old, remembered

from panier_checkout.draft import Draft

# Presses that wait for the answer about stock; more than these are answered by it as well.
HELD_LIMIT = 64
# What these do has to be meant now; the others only show.
_ABOUT_THE_DRAFT = frozenset({"collect", "deliver", "confirm", "dismiss"})
_ACTING = _ABOUT_THE_DRAFT | {"cancel", "again"}


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
    """`buttons` are those of the last message, sent at `buttons_at`; `shown` remembers when others were.

    `last_summary` is the draft whose summary was sent last. `last_cart` is what `last_order` was ordered from.
    `cart_asked` is the wamid of the request for which the cart was asked anew: it is asked once for each.
    """

    conversation: str
    draft: Draft | None = None
    last_summary: str = ""
    last_order: str | None = None
    last_cart: str = ""
    cart_asked: str = ""
    buttons: tuple[Button, ...] = ()
    buttons_at: datetime | None = None
    shown: bytes = b""
    held: tuple[Held, ...] = ()
    person: bool = False
    floor_version: int = -1

    @property
    def is_placing(self) -> bool:
        """Whether a confirmed draft waits for the answer about its stock."""
        return self.draft is not None and self.draft.stage == "frozen"


def holding(dialogue: Dialogue, received: Received) -> Dialogue:
    """The dialogue with this record put aside; Meta's own JSON is of no more use then."""
    event = received.event
    if isinstance(event, MessageReceived):
        event = replace(event, content=_meant(event.content, dialogue), raw=msgspec.Raw(b"null"))
    held = Held(
        received.id,
        received.topic,
        received.at,
        event.ce_type,
        msgspec.Raw(wire.encode(event)),
        received.language,
    )
    return replace(dialogue, held=(*dialogue.held, held)[:HELD_LIMIT])


def _meant(content: m.Content, dialogue: Dialogue) -> m.Content:
    """A bare confirm means the summary that was sent last now, never one with other prices that is still to come."""
    reply = routing.parse_reply(content.id) if isinstance(content, m.Reply) else None
    if reply is None or (reply.owner, reply.verb, reply.argument) != (routing.CHECKOUT, "confirm", ""):
        return content
    return m.Reply(routing.reply_id(routing.CHECKOUT, "confirm", dialogue.last_summary))


def showing(dialogue: Dialogue, sent: MessageSent) -> Dialogue:
    """The dialogue once this message was sent."""
    shown = dialogue.shown
    if any(acts(routing.parse_reply(button.id)) for button in sent.buttons):
        shown = remembered(shown, sent.wamid, sent.at)
    return replace(dialogue, buttons=sent.buttons, buttons_at=sent.at, shown=shown)


def acts(reply: routing.Reply | None) -> bool:
    """Whether pressing it changes something of checkout's."""
    return reply is not None and reply.owner == routing.CHECKOUT and reply.verb in _ACTING


def is_old_press(dialogue: Dialogue, message: MessageReceived) -> bool:
    """Whether the button that was pressed, or whose title was typed, was sent too long ago."""
    if isinstance(message.content, m.Text):
        return dialogue.buttons_at is not None and message.at - dialogue.buttons_at > OLD_AFTER
    holder = message.context.message_id if message.context is not None else None
    return holder is not None and is_old(dialogue.shown, holder, message.at)


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
    return reply is not None and reply.owner == routing.CHECKOUT and reply.verb in _ABOUT_THE_DRAFT
