"""What the sender does about each event of its loop over numbers: its table of contents.

Every change of a message's state is decided here; calls are made only of what was claimed here.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from panier_common.contracts.events import (
    Button,
    DeliveryChanged,
    Event,
    MessageFailed,
    MessageRequested,
    RecipientErased,
)
from panier_common.contracts.outbound import MediaMessage, TemplateMessage, offered, unpacked
from panier_common.effects import DropTimer, Effect, Publish, SetTimer
from panier_common.event import TRACEPARENT, Received, with_context
from panier_common.read_progress import Progress

from panier_sender import render
from panier_sender.errors import HOLDING, Class, Rule, rule_of
from panier_sender.happenings import (
    CallFinished,
    DelayDue,
    DoubtDue,
    MessageReturned,
    NumberReleased,
    SweepDue,
    WorkDue,
)
from panier_sender.journal import InDoubt, Journal, Sent
from panier_sender.line import CLAIMED, DELAYED, DOUBT, QUEUED, READY, Entry
from panier_sender.moves import accept, as_template, delay, doubt, give_up, hold, refuse, set_head, timer_key, wait
from panier_sender.schedule import rank_of
from panier_sender.window import ANSWER, CLOSED, NO_OFFERS, STOPPED

FAILED = "failed"
PASSING = HOLDING | {Class.RETRY, Class.DELAY_CUSTOMER}
RETRIES = 5  # of a refusal that may be the message's own fault
LOOK_AGAIN_SECONDS = 1.0
SWEEP_SECONDS = 600.0


def decide(journal: Journal, received: Received) -> Sequence[Effect]:
    """One event, then whatever of its home may go now."""
    handler = HANDLERS[type(received.event)]
    return [*handler(journal, received, received.event), *send_what_may_go(journal, received)]


def journal_message(journal: Journal, received: Received, event: MessageRequested) -> list[Effect]:
    """Keep the message, as the call it will be, behind what the customer is still to be sent."""
    if event.answers_at is not None:
        journal.hear(event.conversation, event.answers_at)
    message = unpacked(event.message)
    if isinstance(message, MediaMessage) and message.content is not None and message.mime_type is not None:
        journal.files[render.digest_of(message.content)] = (message.mime_type, message.content)
    callback = with_context(received.id, received.headers.get(TRACEPARENT))
    entry = Entry(
        id=received.id,
        home=received.partition,
        conversation=event.conversation,
        phone_number_id=event.phone_number_id,
        kind=message.kind,
        lane=event.lane,
        origin=received.headers.get("ce_source", "").rpartition("/")[2],
        body=render.request_body(message, event.customer, event.conversation, callback).decode(),
        buttons=msgspec.json.encode([Button(id, title) for id, title in offered(message)]).decode(),
        requested_at=received.at,
        answers_at=event.answers_at,
        traceparent=received.headers.get(TRACEPARENT),
        rank=rank_of(event.lane),
        template=_template_body(event, callback),
    )
    _join(journal, entry)
    return []


def _template_body(event: MessageRequested, callback: str) -> str:
    if event.template is None:
        return ""
    given = event.template
    template = TemplateMessage(name=given.name, language=given.language, body=given.body)
    return render.request_body(template, event.customer, event.conversation, callback).decode()


def _join(journal: Journal, entry: Entry) -> None:
    line = journal.line(entry.conversation)
    if line.more:
        journal.behind.append(entry)
        journal.put(entry.conversation, line.urged(entry.rank))
    elif all(other.id != entry.id for other in line.entries):
        journal.put(entry.conversation, line.joined(entry))


def note_status(journal: Journal, received: Received, event: DeliveryChanged) -> list[Effect]:
    """A status proves that a call whose result is not known was made; `failed` is passed on.

    A message merely claimed counts as well: its result may never come, and the status would not come again.
    But the next one to that customer waits for the answer all the same.
    """
    entry = journal.head(journal.conversation_of.get(event.message_id, ""), event.message_id)
    if entry is not None and entry.attempt > 0 and event.wamid != entry.undelivered:
        if event.status == FAILED:
            return _failed_early(journal, entry, received, event)
        if entry.state == CLAIMED:
            set_head(journal, entry, CLAIMED, proof=event.wamid)
            return []
        return accept(journal, entry, received, event.wamid)
    sent = journal.sent.get(event.message_id)
    if event.status != FAILED or sent is None or sent.wamid != event.wamid:
        return []
    del journal.sent[sent.id]
    journal.forgotten.add(sent.id)  # Meta repeats webhooks: once is enough
    return _failed_later(journal, sent, received, event)


def _failed_early(journal: Journal, entry: Entry, received: Received, event: DeliveryChanged) -> list[Effect]:
    """Meta says so before the call's result is known here. What would end a call's trouble is not given up."""
    code, rule = _code(event), rule_of(_code(event))
    if rule.kind not in PASSING or entry.state == CLAIMED:
        return refuse(journal, entry, received, code, rule, event.wamid)
    if entry.state != DOUBT:
        return []  # told again: it goes once more anyway
    if rule.kind not in HOLDING:
        return delay(journal, entry, rule)
    hold(journal, entry.phone_number_id, entry.id, received, rule, code)
    set_head(journal, entry, READY)
    return [DropTimer(timer_key(entry.id))]


def _failed_later(journal: Journal, sent: Sent, received: Received, event: DeliveryChanged) -> list[Effect]:
    """Meta took the message and cannot deliver it: its template goes, or its service is told."""
    rule = rule_of(_code(event))
    if rule.kind is Class.WINDOW_CLOSED and sent.template:
        _join(journal, sent.as_template(received))
        return []
    said = journal.sentence(sent.phone_number_id, rule.reason, _code(event))
    _note_late(journal, sent, received, rule, _code(event))
    failed = MessageFailed(
        sent.conversation,
        sent.phone_number_id,
        sent.id,
        sent.kind,
        _code(event),
        rule.reason,
        received.at,
        event.wamid,
        sent.origin,
        said,
    )
    return [Publish(failed)]


def _note_late(journal: Journal, sent: Sent, received: Received, rule: Rule, code: int) -> None:
    """What a late failure says about more than its message: the customer wants no offers, the number is stopped."""
    if rule.reason == NO_OFFERS:
        journal.stop_offers(sent.conversation)
    if rule.kind is Class.STOP_SHOP:
        hold(journal, sent.phone_number_id, sent.id, received, rule, code)


def take_result(journal: Journal, received: Received, event: CallFinished) -> list[Effect]:
    """What the call's answer means for the message, its customer and its number."""
    rule = Rule(Class(event.outcome), event.reason, "", event.delay_seconds, event.person)
    _tell_of_number(journal, received, event, rule)
    entry = journal.head(event.conversation, event.message_id)
    if entry is None or entry.attempt != event.attempt or entry.state not in {CLAIMED, DOUBT}:
        return []  # a status was faster
    if entry.proof and rule.kind is not Class.ACCEPTED:
        return accept(journal, entry, received, entry.proof)
    match rule.kind:
        case Class.ACCEPTED:
            return accept(journal, entry, received, event.wamid)
        case Class.IN_DOUBT:
            return doubt(journal, entry)
        case Class.RETRY | Class.DELAY_CUSTOMER:
            return delay(journal, entry, rule)
        case Class.RETRY_FEW if entry.failures < RETRIES:
            return delay(journal, entry, rule)
        case Class.RETRY_FEW | Class.GIVE_UP | Class.WINDOW_CLOSED:
            return refuse(journal, entry, received, event.code, rule)
        case _:  # it was certainly not sent, and goes when its number may
            set_head(journal, entry, READY)
            return []


def _tell_of_number(journal: Journal, received: Received, event: CallFinished, rule: Rule) -> None:
    """What the answer says about the number: it works, it must wait, or a person must act."""
    number = event.phone_number_id
    journal.ended.append(event.message_id)
    journal.budget.give_back(number)
    if rule.kind in HOLDING or rule.kind is Class.UNCALLED:
        journal.budget.pair_unspent(event.conversation)
    if rule.kind in HOLDING:
        hold(journal, number, event.message_id, received, rule, event.code)
    elif rule.kind in {Class.UNCALLED, Class.IN_DOUBT}:
        journal.budget.unprobed(number, event.message_id)
    else:
        journal.budget.works(number, event.message_id)


def settle_doubt(journal: Journal, received: Received, event: DoubtDue) -> list[Effect]:
    """End a doubt by the log: no status in all that was reported until well after the call means not sent."""
    entry = journal.head(event.conversation, event.message_id)
    if entry is None or entry.state != DOUBT or entry.claimed_at is None:
        return []
    if entry.proof:
        return accept(journal, entry, received, entry.proof)
    progress = journal.progress.get(received.partition) or Progress()
    if not progress.passed(entry.claimed_at + journal.doubt_after, journal.now):
        return [SetTimer(timer_key(entry.id), LOOK_AGAIN_SECONDS, event)]
    if journal.in_doubt is InDoubt.GIVE_UP:
        return give_up(journal, entry, received, 0, Rule(Class.GIVE_UP, "in_doubt", person=True))
    journal.resent += 1
    set_head(journal, entry, READY)
    return []


def end_delay(journal: Journal, received: Received, event: DelayDue) -> list[Effect]:
    entry = journal.head(event.conversation, event.message_id)
    if entry is not None and entry.state == DELAYED:
        set_head(journal, entry, READY)
    return []


def look_again(journal: Journal, received: Received, event: WorkDue) -> list[Effect]:
    """There is room for this number, or a long line has come to where it was not loaded."""
    line = journal.line(event.conversation)
    if line.woken() != line:
        journal.put(event.conversation, line.woken())
    return []


def forget_old(journal: Journal, received: Received, event: SweepDue) -> list[Effect]:
    return [SetTimer("sweep", 0.0 if journal.more_to_forget else SWEEP_SECONDS, event)]


def take_back(journal: Journal, received: Received, event: MessageReturned) -> list[Effect]:
    """A person mended what a message was refused for: it is as good as new."""
    fresh = msgspec.structs.replace(
        event.entry,
        home=received.partition,
        state=QUEUED,
        attempt=0,
        failures=0,
        claimed_at=None,
        proof="",
        requested_at=journal.now,
    )
    _join(journal, fresh)
    return []


def forget_recipient(journal: Journal, received: Received, event: RecipientErased) -> list[Effect]:
    """The customer is forgotten: what waits for them is not sent any more. A call under way may still reach them."""
    waiting = [entry for one in event.conversations for entry in journal.line(one).entries]
    for conversation in event.conversations:
        journal.forget(conversation)
    return [DropTimer(timer_key(entry.id)) for entry in waiting]


def release_number(journal: Journal, received: Received, event: NumberReleased) -> list[Effect]:
    """A person mended what the number was stopped for: its queue goes on at once."""
    journal.budget.release(event.phone_number_id)
    return []


def send_what_may_go(journal: Journal, received: Received) -> list[Effect]:
    """Claim ready messages of the home while there is room; fail those that may not be sent any more."""
    effects: list[Effect] = []
    while (entry := journal.next_ready(received.partition)) is not None:
        effects += _send_now(journal, received, entry)
    return effects


def _send_now(journal: Journal, received: Received, entry: Entry) -> list[Effect]:
    """Claim the message; or, at this last moment, let its template go instead, make it wait, or give it up."""
    wrong = journal.obstacle(entry)
    if not journal.windows_known and (wrong in {CLOSED, STOPPED} or entry.lane != ANSWER):
        # What the customer wrote last is still to be read.
        return wait(journal, entry, LOOK_AGAIN_SECONDS)
    if wrong == CLOSED and entry.template:
        return _send_now(journal, received, as_template(journal, entry))
    if wrong is not None:
        return give_up(journal, entry, received, 0, Rule(Class.GIVE_UP, wrong))
    seconds = journal.budget.pair_wait(entry.conversation, journal.now)
    if seconds > 0:
        return wait(journal, entry, seconds)
    journal.claim(entry)
    return []


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
    MessageReturned: take_back,
    NumberReleased: release_number,
    RecipientErased: forget_recipient,
}
