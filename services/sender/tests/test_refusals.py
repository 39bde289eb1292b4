"""Every error code: its class, what the sender does about it, and what people are told."""

import msgspec
import pytest
from panier_common.contracts.events import Event, MessageFailed, MessageRequested, MessageSent, Template
from panier_common.contracts.outbound import (
    ButtonsMessage,
    ProductListMessage,
    ProductSection,
    packed,
    unpacked,
)
from panier_sender.errors import HOLDING, OURS, PERMISSION, REFUSED, RULES, WHAT_HAPPENS, Class, classify
from panier_sender.failing import WORDS
from panier_sender.handlers import RETRIES
from panier_sender.happenings import MessageReturned, NumberReleased, WorkDue
from panier_sender.line import DELAYED, READY

from .desk import NUMBER, START, Asked, Desk, accept, refuse, status

NEWS = Template("order_ready", "fr", ("A-12",))


def of(*kinds: Class) -> list[int]:
    return [code for code, rule in RULES.items() if rule.kind in kinds]


@pytest.mark.parametrize("code", RULES)
@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 429, 500, 503])
def test_the_code_decides_whatever_the_status(code, status):
    assert classify(code, status) is RULES[code]


@pytest.mark.parametrize("code", of(Class.GIVE_UP))
def test_given_up_and_told(code):
    desk = Desk()
    desk.batch(Asked("1", "a"), Asked("1", "b"))
    refuse(desk, "a", code)
    (failed,) = desk.ended("a")
    assert isinstance(failed, MessageFailed)
    assert (failed.code, failed.reason) == (code, RULES[code].reason)
    assert failed.said.endswith(f"({code})")
    assert set(desk.calls) == {"b"}, "the customer's next message goes"
    assert bool(desk.letters) == RULES[code].person


@pytest.mark.parametrize("code", of(Class.RETRY))
def test_tried_again_for_as_long_as_it_takes(code):
    desk = Desk()
    desk.batch(Asked("1", "a"))
    waits = []
    for _ in range(RETRIES * 3):
        refuse(desk, "a", code)
        waits.append((desk.timers["message:a"][0] - desk.now).total_seconds())
        desk.fire("message:a")
    assert waits[:4] == [1, 4, 16, 64]
    assert max(waits) == 64
    accept(desk, "a")
    assert [type(event) for event in desk.ended("a")] == [MessageSent]


@pytest.mark.parametrize("code", of(Class.RETRY_FEW))
def test_tried_a_few_times_then_given_up_for_a_person(code):
    desk = Desk()
    desk.batch(Asked("1", "a"))
    for _ in range(RETRIES):
        refuse(desk, "a", code)
        assert desk.state("a") == DELAYED
        desk.fire("message:a")
    refuse(desk, "a", code)
    (failed,) = desk.ended("a")
    assert failed.reason == RULES[code].reason
    assert desk.letters


@pytest.mark.parametrize("code", of(Class.DELAY_CUSTOMER))
def test_only_this_customer_waits(code):
    desk = Desk()
    desk.batch(Asked("1", "a"), Asked("2", "b"))
    refuse(desk, "a", code)
    desk.batch(Asked("3", "c"))
    assert desk.state("a") == DELAYED
    assert set(desk.calls) == {"b", "c"}


@pytest.mark.parametrize("code", of(*HOLDING))
def test_the_number_waits_with_its_queue(code):
    desk = Desk()
    desk.batch(Asked("1", "a"), Asked("2", "b"))
    refuse(desk, "a", code)
    desk.batch(Asked("3", "c"))
    assert set(desk.calls) == {"b"}
    assert {desk.state("a"), desk.state("c")} == {READY}
    assert not desk.published, "no message is burnt"
    desk.now = desk.pacing.holds[NUMBER].until
    desk.batch(WorkDue(NUMBER, desk.now))
    assert len(desk.calls.keys() - {"b"}) == 1, "one message finds out whether it must wait on"


@pytest.mark.parametrize("code", of(Class.STOP_SHOP))
def test_a_stopped_number_is_told_once_and_goes_on_when_a_person_says_so(code):
    desk = Desk()
    desk.batch(Asked("1", "a"), Asked("2", "b"))
    refuse(desk, "a", code)
    refuse(desk, "b", code)
    (letter,) = desk.letters
    assert letter.event == NumberReleased(NUMBER)
    assert str(code) in letter.reason
    desk.now = desk.pacing.holds[NUMBER].until
    desk.batch(WorkDue(NUMBER, desk.now))
    (probe,) = desk.calls
    refuse(desk, probe, code)
    assert len(desk.letters) == 1
    desk.batch(letter.event)
    assert set(desk.calls) == {"a", "b"}


@pytest.mark.parametrize("code", of(Class.STOP_SHOP))
def test_a_stop_that_a_status_tells_late_holds_the_number_as_well(code):
    desk = Desk()
    desk.batch(Asked("1", "a"), Asked("2", "c"))
    accept(desk, "a")
    accept(desk, "c")
    desk.batch(status("a", "failed", code), status("c", "failed", code), Asked("1", "b"))
    assert not desk.calls
    (letter,) = desk.letters
    assert isinstance(letter.event, NumberReleased)
    assert [type(event) for event in desk.ended("a")] == [MessageSent, MessageFailed]
    desk.batch(letter.event)
    assert set(desk.calls) == {"b"}


@pytest.mark.parametrize("code", of(Class.PARK))
def test_a_refused_token_is_told_when_it_lasts(code):
    desk = Desk()
    desk.batch(Asked("1", "a"))
    for strike in range(4):
        assert not desk.letters, strike
        refuse(desk, "a", code)
        desk.now = desk.pacing.holds[NUMBER].until
        desk.batch(WorkDue(NUMBER, desk.now))
    assert len(desk.letters) == 1
    refuse(desk, "a", code)
    assert len(desk.letters) == 1


@pytest.mark.parametrize("code", of(Class.WINDOW_CLOSED))
def test_its_template_goes_instead(code):
    desk = Desk()
    desk.batch(Asked("1", "a", template=NEWS))
    refuse(desk, "a", code)
    assert '"order_ready"' in desk.calls["a"].body
    accept(desk, "a")
    (sent,) = desk.ended("a")
    assert sent.kind == "template"


@pytest.mark.parametrize("code", of(Class.WINDOW_CLOSED))
def test_a_closed_window_without_a_template_is_told(code):
    desk = Desk()
    desk.batch(Asked("1", "a"))
    refuse(desk, "a", code)
    (failed,) = desk.ended("a")
    assert (failed.code, failed.reason) == (code, "window_closed")
    desk.batch(Asked("2", "b", template=NEWS))
    refuse(desk, "b", code)
    refuse(desk, "b", code)
    assert [type(event) for event in desk.ended("b")] == [MessageFailed], (
        "a template that is refused is not tried again"
    )


PRODUCTS = ProductListMessage(
    catalog_id="1", header="Pains", body="Nos pains", sections=(ProductSection(title="Pains", skus=("baguette",)),)
)


def refused_products(lane: str = "answer", code: int = 131009) -> tuple[Desk, list[Event]]:
    """Meta's copy of the catalogue has none of them; what the sender published after that."""
    desk, asked = Desk(), Asked("33612345678", "a", lane)
    asked.event = msgspec.structs.replace(asked.event, message=packed(PRODUCTS))
    desk.batch(asked)
    refuse(desk, "a", code)
    failed, *instead = desk.published
    assert isinstance(failed, MessageFailed)
    assert desk.letters, "a person can mend it"
    return desk, instead


def test_who_asked_for_products_that_whatsapp_does_not_show_is_not_left_without_an_answer():
    desk, (instead,) = refused_products()
    assert isinstance(instead, MessageRequested)
    assert (instead.customer.wa_id, instead.lane, instead.answers_at) == ("33612345678", "answer", START)
    message = unpacked(instead.message)
    assert isinstance(message, ButtonsMessage)
    assert message.body.startswith("Les produits ne peuvent pas s’afficher")
    assert [button.id for button in message.buttons] == ["console:person", "checkout:orders"]

    again = Asked("33612345678", "b")
    again.event = instead
    desk.published.clear()
    desk.batch(again)
    refuse(desk, "b", 131009)
    assert [type(event) for event in desk.published] == [MessageFailed], "that answer has no other one behind it"


@pytest.mark.parametrize(("lane", "code"), [("reminder", 131009), ("news", 131009), ("answer", 131005)])
def test_nobody_else_is_told_of_products(lane, code):
    assert refused_products(lane, code)[1] == []


def test_every_class_of_the_table_is_explained_and_tested():
    assert {rule.kind for rule in RULES.values()} == WHAT_HAPPENS.keys()


@pytest.mark.parametrize("language", sorted(WORDS.languages))
def test_every_reason_has_its_sentence(language):
    reasons = {rule.reason for rule in (*RULES.values(), PERMISSION, REFUSED)} | OURS.keys()
    said = {key.removeprefix("failed.") for key in WORDS.languages[language] if key.startswith("failed.")}
    assert said == reasons


def test_a_person_has_a_message_sent_that_was_given_up():
    desk = Desk()
    desk.batch(Asked("1", "a"))
    refuse(desk, "a", 131053)
    (letter,) = desk.letters
    assert isinstance(letter.event, MessageReturned)
    assert letter.reason.startswith("WhatsApp n’a pas pu obtenir")
    desk.batch(letter.event)
    accept(desk, "a")
    assert [type(event) for event in desk.ended("a")] == [MessageFailed, MessageSent]
