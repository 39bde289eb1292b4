"""What the sender does about each event of its loop over numbers: its table of contents.

Every change of a message's state is decided here; calls are made only of what was claimed here.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import msgspec
from panier_common.contracts.events import (
    Button,
    DeliveryChanged,
    Event,
    MessageFailed,
    MessageRequested,
    MessageSent,
)
from panier_common.contracts.outbound import offered, unpacked
from panier_common.effects import Effect, Publish, SetTimer
from panier_common.event import TRACEPARENT, Received

from panier_sender import render
from panier_sender.errors import HOLDING, Class, Rule, reason_of
from panier_sender.happenings import CallFinished, DelayDue, DoubtDue, SweepDue, WorkDue
from panier_sender.journal import Journal, Progress
from panier_sender.line import CLAIMED, DELAYED, DOUBT, READY, Entry

FAILED = "failed"
RETRIES = 5  # of a refusal that may be the message's own fault
LONGEST_DELAY_SECONDS = 1024.0
LONGEST_OUTAGE_DELAY_SECONDS = 64.0
LOOK_AGAIN_SECONDS = 1.0
SWEEP_SECONDS = 600.0


def decide(journal: Journal, received: Received) -> Sequence[Effect]:
    """One event, then whatever of its home may go now."""
    handler = HANDLERS[type(received.event)]
    return [*handler(journal, received, received.event), *send_what_may_go(journal, received)]


def journal_message(journal: Journal, received: Received, event: MessageRequested) -> list[Effect]:
    """Keep the message, as the call it will be, behind what the customer is still to be sent."""
    message = unpacked(event.message)
    body = render.request_body(message, event.customer, event.conversation, received.id)
    buttons = [Button(id, title) for id, title in offered(message)]
    entry = Entry(
        id=received.id,
        home=received.partition,
        conversation=event.conversation,
        phone_number_id=event.phone_number_id,
        kind=message.kind,
        lane=event.lane,
        origin=received.headers.get("ce_source", "").rpartition("/")[2],
        body=body.decode(),
        buttons=msgspec.json.encode(buttons).decode(),
        requested_at=received.at,
        answers_at=event.answers_at,
        traceparent=received.headers.get(TRACEPARENT),
    )
    line = journal.line(event.conversation)
    if line.more:
        journal.behind.append(entry)
    elif all(other.id != entry.id for other in line.entries):
        journal.put(event.conversation, line.joined(entry))
    return []


def note_status(journal: Journal, received: Received, event: DeliveryChanged) -> list[Effect]:
    """A status proves that a call whose result is not known was made; `failed` is passed on.

    A message merely claimed counts as well: its result may never come, and the status would not come again.
    But the next one to that customer waits for the answer all the same.
    """
    entry = journal.head(journal.conversation_of.get(event.message_id, ""), event.message_id)
    if entry is not None and entry.attempt > 0:
        if event.status == FAILED:
            return _give_up(journal, entry, received, _code(event), reason_of(_code(event)), event.wamid)
        if entry.state == CLAIMED:
            _set_head(journal, entry, CLAIMED, proof=event.wamid)
            return []
        return _accept(journal, entry, received, event.wamid)
    sent = journal.sent.pop(event.message_id, None)
    if sent is None or event.status != FAILED:
        return []
    journal.forgotten.add(sent.id)  # Meta repeats webhooks: once is enough
    failed = MessageFailed(
        sent.conversation,
        sent.phone_number_id,
        sent.id,
        sent.kind,
        _code(event),
        reason_of(_code(event)),
        received.at,
        event.wamid,
        sent.origin,
    )
    return [Publish(failed)]


def take_result(journal: Journal, received: Received, event: CallFinished) -> list[Effect]:
    """What the call's answer means for the message, its customer and its number."""
    outcome = Class(event.outcome)
    rule = Rule(outcome, event.reason, event.delay_seconds)
    journal.ended.append(event.message_id)
    journal.budget.give_back(event.phone_number_id)
    if outcome in HOLDING:
        journal.budget.hold(event.phone_number_id, event.message_id, rule, journal.now)
    elif outcome in {Class.UNCALLED, Class.IN_DOUBT}:
        journal.budget.unprobed(event.phone_number_id, event.message_id)
    else:
        journal.budget.works(event.phone_number_id, event.message_id)
    entry = journal.head(event.conversation, event.message_id)
    if entry is None or entry.attempt != event.attempt or entry.state not in {CLAIMED, DOUBT}:
        return []  # a status was faster
    if entry.proof and outcome is not Class.ACCEPTED:
        return _accept(journal, entry, received, entry.proof)
    match outcome:
        case Class.ACCEPTED:
            return _accept(journal, entry, received, event.wamid)
        case Class.IN_DOUBT:
            return doubt(journal, entry)
        case Class.RETRY | Class.DELAY_CUSTOMER:
            return _delay(journal, entry, rule)
        case Class.RETRY_FEW if entry.failures < RETRIES:
            return _delay(journal, entry, rule)
        case Class.RETRY_FEW | Class.GIVE_UP | Class.WINDOW_CLOSED:
            return _give_up(journal, entry, received, event.code, event.reason)
        case _:  # it was certainly not sent, and goes when its number may
            _set_head(journal, entry, READY)
            return []


def settle_doubt(journal: Journal, received: Received, event: DoubtDue) -> list[Effect]:
    """End a doubt by the log: no status in all that was reported until well after the call means not sent."""
    entry = journal.head(event.conversation, event.message_id)
    if entry is None or entry.state != DOUBT or entry.claimed_at is None:
        return []
    if entry.proof:
        return _accept(journal, entry, received, entry.proof)
    progress = journal.progress.get(received.partition) or Progress()
    if not progress.passed(entry.claimed_at + journal.doubt_after, journal.now):
        return [SetTimer(timer_key(entry.id), LOOK_AGAIN_SECONDS, event)]
    journal.resent += 1
    _set_head(journal, entry, READY)
    return []


def end_delay(journal: Journal, received: Received, event: DelayDue) -> list[Effect]:
    entry = journal.head(event.conversation, event.message_id)
    if entry is not None and entry.state == DELAYED:
        _set_head(journal, entry, READY)
    return []


def look_again(journal: Journal, received: Received, event: WorkDue) -> list[Effect]:
    """There is room for this number, or a long line has come to where it was not loaded."""
    line = journal.line(event.conversation)
    if line.woken() != line:
        journal.put(event.conversation, line.woken())
    return []


def forget_old(journal: Journal, received: Received, event: SweepDue) -> list[Effect]:
    journal.sweeps.add(received.partition)
    return [SetTimer("sweep", SWEEP_SECONDS, event)]


def send_what_may_go(journal: Journal, received: Received) -> list[Effect]:
    """Claim ready messages of the home while there is room; fail those that may not be sent any more."""
    effects: list[Effect] = []
    while (found := journal.next_claim(received.partition)) is not None:
        entry, wrong = found
        if wrong is None:
            journal.claim(entry)
        else:
            effects += _give_up(journal, entry, received, 0, wrong)
    return effects


def doubt(journal: Journal, entry: Entry) -> list[Effect]:
    """Nobody knows whether the call reached Meta: the customer's line waits until the log tells."""
    _set_head(journal, entry, DOUBT)
    left = (entry.claimed_at or journal.now) + journal.doubt_after - journal.now
    due = DoubtDue(entry.conversation, entry.phone_number_id, entry.id)
    return [SetTimer(timer_key(entry.id), max(0.0, left / timedelta(seconds=1)), due)]


def _accept(journal: Journal, entry: Entry, received: Received, wamid: str) -> list[Effect]:
    journal.finish(entry, wamid)
    sent = MessageSent(
        entry.conversation,
        entry.phone_number_id,
        entry.id,
        wamid,
        entry.kind,
        received.at,
        tuple(msgspec.json.decode(entry.buttons, type=list[Button])),
        entry.origin,
    )
    return [Publish(sent), *_go_on(journal, entry)]


def _give_up(
    journal: Journal, entry: Entry, received: Received, code: int, reason: str, wamid: str = ""
) -> list[Effect]:
    journal.finish(entry)
    failed = MessageFailed(
        entry.conversation,
        entry.phone_number_id,
        entry.id,
        entry.kind,
        code,
        reason,
        received.at,
        wamid,
        entry.origin,
    )
    return [Publish(failed), *_go_on(journal, entry)]


def _go_on(journal: Journal, entry: Entry) -> list[Effect]:
    """Have a line looked at again whose loaded part is at its end while the journal holds more of it."""
    line = journal.line(entry.conversation)
    if line.entries or not line.more:
        return []
    event = WorkDue(entry.phone_number_id, journal.now, entry.conversation)
    return [SetTimer(f"line:{entry.conversation}", 0.0, event)]


def _delay(journal: Journal, entry: Entry, rule: Rule) -> list[Effect]:
    """This customer waits, 4^X times the rule's delay after the Xth refusal; the others go on."""
    longest = LONGEST_OUTAGE_DELAY_SECONDS if rule.kind is Class.RETRY else LONGEST_DELAY_SECONDS
    seconds = min(rule.delay_seconds * 4.0 ** min(entry.failures, 8), longest)
    _set_head(journal, entry, DELAYED, failures=entry.failures + 1)
    return [SetTimer(timer_key(entry.id), seconds, DelayDue(entry.conversation, entry.phone_number_id, entry.id))]


def _set_head(journal: Journal, entry: Entry, state: str, **changes: Any) -> None:
    journal.put(entry.conversation, journal.line(entry.conversation).with_head(state, **changes))


def timer_key(message_id: str) -> str:
    """The one timer a message can have: a delay or a doubt."""
    return f"message:{message_id}"


def _code(event: DeliveryChanged) -> int:
    return event.errors[0].code if event.errors else 0


Handler = Callable[[Journal, Received, Any], list[Effect]]
HANDLERS: dict[type[Event], Handler] = {
    MessageRequested: journal_message,
    DeliveryChanged: note_status,
    CallFinished: take_result,
    DoubtDue: settle_doubt,
    DelayDue: end_delay,
    WorkDue: look_again,
    SweepDue: forget_old,
}
