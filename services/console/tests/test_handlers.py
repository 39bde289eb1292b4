"""Who has the floor, what is answered, and what is only kept."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
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
from panier_common.contracts.outbound import ButtonsMessage, unpacked
from panier_console import handlers
from panier_console.inbox import Inbox

AT = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
NUMBER, CONVERSATION = "106540352242922", "106540352242922:FR.1"
QUIET = Inbox(CONVERSATION, NUMBER, "boulangerie", user_id="FR.1")
VERSION = int(AT.timestamp())
CALLED = msgspec.structs.replace(QUIET, person=True, version=VERSION, unanswered_since=AT)
PICTURE = m.Media("image", caption="regardez")


def message(
    content: m.Content, at: datetime = AT, shop: str | None = "boulangerie", customer: Customer | None = None
) -> MessageReceived:
    customer = customer or Customer("FR.1", "33612345678", "Ana")
    return MessageReceived(CONVERSATION, NUMBER, customer, "wamid.1", at, content, shop)


def enquiry(text: str = "alors ?", reply_id: str | None = None) -> EnquiryRaised:
    return EnquiryRaised(
        CONVERSATION, NUMBER, "boulangerie", Customer("FR.1"), "console", text, "wamid.1", AT, reply_id
    )


def said(events: tuple[Event, ...]) -> list[ButtonsMessage]:
    read = [unpacked(event.message) for event in events if isinstance(event, MessageRequested)]
    assert all(isinstance(one, ButtonsMessage) for one in read)
    return [one for one in read if isinstance(one, ButtonsMessage)]


@pytest.mark.parametrize("content", [m.Text("conseiller"), m.Reply("console:person", "Parler à quelqu’un")])
def test_a_person_is_called_and_takes_the_floor(content: m.Content) -> None:
    decision = handlers.answer(QUIET, message(content), "fr")
    assert decision.inbox == CALLED
    assert decision.events[0] == FloorChanged(CONVERSATION, "boulangerie", True, VERSION, AT)
    (answer,) = said(decision.events)
    assert "Quelqu’un de la boutique" in answer.body
    assert [button.id for button in answer.buttons] == ["catalog:menu"]


def test_the_answer_names_what_it_answers_and_no_profile_name() -> None:
    decision = handlers.answer(QUIET, message(m.Text("person")), "en")
    request = decision.events[1]
    assert isinstance(request, MessageRequested)
    assert (request.lane, request.answers, request.answers_at) == ("answer", "wamid.1", AT)
    assert request.customer == Customer("FR.1", "33612345678")


def test_a_person_is_called_only_once_and_is_said_to_come() -> None:
    inbox, told = CALLED, []
    for minutes in (1, 2, 10, 11, 12):
        inbox, events = handlers.answer(inbox, message(m.Text("conseiller"), AT + timedelta(minutes=minutes)), "fr")
        assert not any(isinstance(event, FloorChanged) for event in events)
        told += [(minutes, answer.body) for answer in said(events)]
    assert [minutes for minutes, _ in told] == [1, 11]
    assert "arrive" in told[0][1]
    assert (inbox.version, inbox.unanswered_since) == (VERSION, AT)


def test_a_person_called_anew_is_called_anew() -> None:
    coming = handlers.answer(CALLED, message(m.Text("conseiller")), "fr").inbox
    back = handlers.hand_back(coming, FloorReturned(CONVERSATION, "key", "shop", AT)).inbox
    again = handlers.answer(back, message(m.Text("conseiller")), "fr")
    assert [type(event) for event in again.events] == [FloorChanged, MessageRequested]
    assert len(said(handlers.answer(again.inbox, message(m.Text("conseiller")), "fr").events)) == 1


def test_the_typed_title_of_the_button_calls_too() -> None:
    decision = handlers.answer_enquiry(QUIET, enquiry("Parler à quelqu’un", "console:person"), "fr")
    assert decision.inbox.person
    assert len(said(decision.events)) == 1


def test_free_text_waits_for_the_person_who_has_the_floor() -> None:
    idle = msgspec.structs.replace(CALLED, unanswered_since=None)
    decision = handlers.answer_enquiry(idle, enquiry(), "fr")
    assert decision.inbox.unanswered_since == AT
    assert decision.events == ()


@pytest.mark.parametrize("text", ["alors ?", ""])
@pytest.mark.parametrize("language", sorted(handlers.words.languages))
def test_what_was_said_while_the_floor_went_back_is_answered(text: str, language: str) -> None:
    """Checkout has not heard of it yet, and nobody reads an inbox that was handed back. A place has no text."""
    back = handlers.hand_back(CALLED, FloorReturned(CONVERSATION, "key", "shop", AT)).inbox
    decision = handlers.answer_enquiry(back, enquiry(text), language)
    assert (decision.inbox.person, decision.inbox.unanswered_since) == (False, None)
    (answer,) = said(decision.events)
    assert answer.body == handlers.words.languages[language]["person.gone"]
    assert [button.id for button in answer.buttons] == ["catalog:menu", "console:person"]


def test_handing_back_gives_the_machine_the_floor_once() -> None:
    returned = FloorReturned(CONVERSATION, "key", "shop", AT)
    decision = handlers.hand_back(CALLED, returned)
    assert not decision.inbox.person
    assert decision.inbox.unanswered_since is None
    assert decision.events == (FloorChanged(CONVERSATION, "boulangerie", False, VERSION + 1, AT),)
    assert handlers.hand_back(decision.inbox, returned) == handlers.Decision(decision.inbox)


@pytest.mark.parametrize(
    "content", [PICTURE, m.Media("audio"), m.Contacts(2), m.Unsupported((131051,)), m.Unknown("hologram")]
)
def test_what_cannot_be_read_gets_one_friendly_line(content: m.Content) -> None:
    decision = handlers.answer(QUIET, message(content), "en")
    (answer,) = said(decision.events)
    assert [button.id for button in answer.buttons] == ["catalog:menu", "console:person"]


def test_the_friendly_line_is_said_again_only_after_ten_minutes() -> None:
    told = handlers.answer(QUIET, message(PICTURE), "fr").inbox
    for minutes, answers in ((0, 0), (9, 0), (10, 1)):
        decision = handlers.answer(told, message(PICTURE, AT + timedelta(minutes=minutes)), "fr")
        assert len(said(decision.events)) == answers


def test_a_picture_for_the_person_who_has_the_floor_is_not_answered() -> None:
    decision = handlers.answer(CALLED, message(PICTURE), "fr")
    assert decision == handlers.Decision(CALLED)


@pytest.mark.parametrize(
    "content", [m.Reaction("wamid.0", "👍"), m.Edit("wamid.0"), m.Revoke("wamid.0"), m.System("user_changed_number")]
)
def test_reactions_and_the_like_are_not_answered(content: m.Content) -> None:
    assert handlers.answer(QUIET, message(content), "fr") == handlers.Decision(QUIET)


def test_a_button_from_another_time_gets_the_catalogue() -> None:
    (answer,) = said(handlers.answer(QUIET, message(m.Reply("console:fax", "Fax")), "en").events)
    assert answer.buttons[0].id == "catalog:menu"


def test_a_number_of_no_shop_is_answered_by_nobody() -> None:
    assert handlers.answer(QUIET, message(PICTURE, shop=None), "fr") == handlers.Decision(QUIET)


def test_what_was_said_to_a_group_waits_for_nobody() -> None:
    to_a_group = msgspec.structs.replace(message(m.Text("alors ?")), group_id="Y2FwaV9ncm91cDox")
    quiet = msgspec.structs.replace(CALLED, unanswered_since=None)
    assert handlers.keep(quiet, to_a_group).unanswered_since is None
    assert handlers.keep(quiet, message(m.Text("alors ?"))).unanswered_since == AT


def test_every_message_leaves_the_ids_it_showed() -> None:
    before = Inbox(CONVERSATION, NUMBER)
    inbox = handlers.keep(before, message(m.Order("1"), customer=Customer("FR.1")))
    inbox = handlers.keep(inbox, message(m.Text("x"), AT - timedelta(hours=1), customer=Customer(None, "336")))
    assert (inbox.shop, inbox.user_id, inbox.wa_id, inbox.last_at) == ("boulangerie", "FR.1", "336", AT)


def test_a_button_does_not_wait_for_the_person() -> None:
    idle = msgspec.structs.replace(CALLED, unanswered_since=None)
    assert handlers.keep(idle, message(m.Reply("cart:show"))).unanswered_since is None
    assert handlers.keep(idle, message(m.Unknown("request_welcome"))).unanswered_since is None
    assert handlers.keep(idle, message(m.Text("vous êtes là ?"))).unanswered_since == AT
