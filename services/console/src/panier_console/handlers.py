"""What the console does about each event: one function each, pure. The table of contents.

Every customer's message is kept; only what has no other owner is answered here, and nothing while a person of
the shop has the floor.
"""

from typing import NamedTuple

from msgspec.structs import replace
from panier_common.contracts import inbound as m
from panier_common.contracts.events import (
    Customer,
    EnquiryRaised,
    Event,
    FloorChanged,
    FloorReturned,
    MessageReceived,
    MessageRequested,
)
from panier_common.contracts.outbound import ButtonsMessage, ReplyButton, packed
from panier_common.routing import CATALOG, CONSOLE, parse_reply, reply_id
from panier_common.words import Words

from panier_console import inbox as floor
from panier_console.inbox import Inbox

words = Words("panier_console")


class Decision(NamedTuple):
    """The conversation after it, and what is published, in order."""

    inbox: Inbox
    events: tuple[Event, ...] = ()


def keep(inbox: Inbox, message: MessageReceived) -> Inbox:
    """Every message counts for the conversation, whoever answers it."""
    inbox = floor.heard(inbox, message.shop, message.customer, message.at)
    wants = inbox.person and message.group_id is None and _wants_a_person(message.content)
    return floor.waits(inbox, message.at) if wants else inbox


def answer(inbox: Inbox, message: MessageReceived, language: str) -> Decision:
    """A message that is the console's to answer. One to a number of no shop is answered by nobody."""
    if message.shop is None:
        return Decision(inbox)
    match message.content:
        case m.Text():
            return call_person(inbox, message, language)
        case m.Reply(id=reply):
            return answer_press(inbox, message, reply, language)
        case m.Media() | m.Contacts() | m.Unsupported() | m.Unknown():
            return tell_what_can_be_read(inbox, message, language)
        case _:
            return Decision(inbox)  # reactions, edits, revocations, changes of number: kept, not answered


def answer_enquiry(inbox: Inbox, enquiry: EnquiryRaised, language: str) -> Decision:
    """A typed title counts as its button; other text, or a place, is there for the person who has the floor.

    When the floor was just handed back, checkout may not have heard of it: then nobody would ever read it here.
    """
    inbox = floor.heard(inbox, enquiry.shop, enquiry.customer, enquiry.at)
    if enquiry.reply_id is not None:
        return answer_press(inbox, enquiry, enquiry.reply_id, language)
    if inbox.person:
        return Decision(floor.waits(inbox, enquiry.at))
    return Decision(inbox, (_said(enquiry, words(language, "person.gone"), language, offers_person=True),))


def answer_press(inbox: Inbox, asked: MessageReceived | EnquiryRaised, reply: str, language: str) -> Decision:
    """A button of the console's; one that this version does not know gets the catalogue."""
    press = parse_reply(reply)
    if press is not None and press.owner == CONSOLE and press.verb == "person":
        return call_person(inbox, asked, language)
    return Decision(inbox, (_said(asked, words(language, "button.old"), language, offers_person=True),))


def call_person(inbox: Inbox, asked: MessageReceived | EnquiryRaised, language: str) -> Decision:
    """The shop is called, once: the machine keeps quiet on free text until it is handed the floor again."""
    if inbox.person:
        return say_coming(floor.waits(inbox, asked.at), asked, language)
    inbox = floor.given(inbox, asked.at)
    said = _said(asked, words(language, "person.called"), language, offers_person=False)
    return Decision(inbox, (_floor_of(inbox, asked.shop or "", asked), said))


def say_coming(inbox: Inbox, asked: MessageReceived | EnquiryRaised, language: str) -> Decision:
    """Asked for again while somebody has the floor: one short line, not for each press."""
    if not floor.may_say_coming(inbox, asked.at):
        return Decision(inbox)
    said = _said(asked, words(language, "person.coming"), language, offers_person=False)
    return Decision(replace(inbox, coming_at=asked.at), (said,))


def tell_what_can_be_read(inbox: Inbox, message: MessageReceived, language: str) -> Decision:
    """One friendly line about pictures and the like, not for each of them."""
    if inbox.person or not floor.may_tell(inbox, message.at):
        return Decision(inbox)
    said = _said(message, words(language, "media.unreadable"), language, offers_person=True)
    return Decision(replace(inbox, told_at=message.at), (said,))


def hand_back(inbox: Inbox, event: FloorReturned) -> Decision:
    """A person of the shop is done; doing it again changes nothing."""
    if not inbox.person:
        return Decision(inbox)
    inbox = floor.handed_back(inbox)
    return Decision(inbox, (_floor_of(inbox, inbox.shop or "", event),))


def _wants_a_person(content: m.Content) -> bool:
    """Whether a person who has the floor would want to answer this: not a button or a cart."""
    if content == m.Unknown(m.WELCOME):
        return False
    return isinstance(content, m.Text | m.Media | m.Contacts | m.Location | m.Form | m.Unsupported | m.Unknown)


def _floor_of(inbox: Inbox, shop: str, because: MessageReceived | EnquiryRaised | FloorReturned) -> FloorChanged:
    return FloorChanged(inbox.conversation, shop, inbox.person, inbox.version, because.at)


def _said(asked: MessageReceived | EnquiryRaised, body: str, language: str, offers_person: bool) -> MessageRequested:
    buttons = [ReplyButton(id=reply_id(CATALOG, "menu"), title=words(language, "button.menu"))]
    if offers_person:
        buttons.append(ReplyButton(id=reply_id(CONSOLE, "person"), title=words(language, "button.person")))
    return MessageRequested(
        phone_number_id=asked.phone_number_id,
        conversation=asked.conversation,
        shop=asked.shop or "",
        customer=Customer(asked.customer.user_id, asked.customer.wa_id),
        message=packed(ButtonsMessage(body=body, buttons=tuple(buttons))),
        answers=asked.wamid,
        answers_at=asked.at,
    )
