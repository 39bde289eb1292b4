"""What can become of the first message of a line: sent, given up, made to wait, in doubt. Pure.

Every function changes the journal's working set and returns what follows.
"""

from datetime import timedelta
from typing import Any

import msgspec
from panier_common.contracts.events import Button, MessageFailed, MessageSent
from panier_common.effects import Effect, Publish, SetTimer
from panier_common.event import Received

from panier_sender.errors import INVALID, Class, Rule
from panier_sender.failing import message_letter, needs_a_person, number_letter, way_on
from panier_sender.happenings import DelayDue, DoubtDue, WorkDue
from panier_sender.journal import Journal
from panier_sender.line import DELAYED, DOUBT, READY, Entry
from panier_sender.window import NO_OFFERS, TEMPLATE

LONGEST_DELAY_SECONDS = 1024.0
LONGEST_OUTAGE_DELAY_SECONDS = 64.0


def hold(journal: Journal, number: str, message_id: str, received: Received, rule: Rule, code: int) -> None:
    before = journal.budget.holds.get(number)
    journal.budget.hold(number, received.partition, message_id, rule, journal.now)
    if needs_a_person(before, journal.budget.holds.get(number), rule):
        said = journal.sentence(number, rule.reason, code)
        journal.letters.append(number_letter(number, received.partition, said))


def as_template(journal: Journal, entry: Entry, undelivered: str = "") -> Entry:
    changes = {"body": entry.template, "template": "", "kind": TEMPLATE, "buttons": "[]", "undelivered": undelivered}
    set_head(journal, entry, READY, **changes)
    return journal.line(entry.conversation).entries[0]


def doubt(journal: Journal, entry: Entry) -> list[Effect]:
    """Nobody knows whether the call reached Meta: the customer's line waits until the log tells."""
    set_head(journal, entry, DOUBT)
    left = (entry.claimed_at or journal.now) + journal.doubt_after - journal.now
    due = DoubtDue(entry.conversation, entry.phone_number_id, entry.id)
    return [SetTimer(timer_key(entry.id), max(0.0, left / timedelta(seconds=1)), due)]


def accept(journal: Journal, entry: Entry, received: Received, wamid: str) -> list[Effect]:
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


def refuse(journal: Journal, entry: Entry, received: Received, code: int, rule: Rule, wamid: str = "") -> list[Effect]:
    """Meta does not take it: its template goes where that can help, else it is given up."""
    if rule.kind is Class.WINDOW_CLOSED and entry.template:
        as_template(journal, entry, wamid)
        return []
    return give_up(journal, entry, received, code, rule, wamid)


def give_up(journal: Journal, entry: Entry, received: Received, code: int, rule: Rule, wamid: str = "") -> list[Effect]:
    journal.finish(entry)
    if code and rule.reason == NO_OFFERS:
        journal.stop_offers(entry.conversation)
    said = journal.sentence(entry.phone_number_id, rule.reason, code)
    if rule.person:
        journal.letters.append(message_letter(entry, said))
    failed = MessageFailed(
        entry.conversation,
        entry.phone_number_id,
        entry.id,
        entry.kind,
        code,
        rule.reason,
        received.at,
        wamid,
        entry.origin,
        said,
    )
    instead = way_on(entry, journal.shops.get(entry.phone_number_id)) if rule.reason == INVALID else None
    return [Publish(failed), *([Publish(instead)] if instead is not None else ()), *_go_on(journal, entry)]


def _go_on(journal: Journal, entry: Entry) -> list[Effect]:
    """Have a line looked at again whose loaded part is at its end while the journal holds more of it."""
    line = journal.line(entry.conversation)
    if line.entries or not line.more:
        return []
    event = WorkDue(entry.phone_number_id, journal.now, entry.conversation)
    return [SetTimer(f"line:{entry.conversation}", 0.0, event)]


def delay(journal: Journal, entry: Entry, rule: Rule) -> list[Effect]:
    """This customer waits, 4^X times the rule's delay after the Xth refusal; the others go on."""
    longest = LONGEST_OUTAGE_DELAY_SECONDS if rule.kind is Class.RETRY else LONGEST_DELAY_SECONDS
    seconds = min(rule.delay_seconds * 4.0 ** min(entry.failures, 8), longest)
    return wait(journal, entry, seconds, failures=entry.failures + 1)


def wait(journal: Journal, entry: Entry, seconds: float, **changes: Any) -> list[Effect]:
    set_head(journal, entry, DELAYED, **changes)
    return [SetTimer(timer_key(entry.id), seconds, DelayDue(entry.conversation, entry.phone_number_id, entry.id))]


def set_head(journal: Journal, entry: Entry, state: str, **changes: Any) -> None:
    journal.put(entry.conversation, journal.line(entry.conversation).with_head(state, **changes))


def timer_key(message_id: str) -> str:
    """The one timer a message can have: a delay or a doubt."""
    return f"message:{message_id}"
