"""A desk for the journal's rules: its table, timers and log as plain lists, batches decided as in the service."""

import uuid
from collections import defaultdict
from datetime import UTC, datetime, timedelta

from panier_common.batch import Publish, SetTimer
from panier_common.contracts.events import (
    Customer,
    DeliveryChanged,
    DeliveryError,
    MessageFailed,
    MessageRequested,
    MessageSent,
    Number,
    ShopConfigured,
    Template,
)
from panier_common.contracts.outbound import TextMessage, packed
from panier_common.event import Received
from panier_common.read_progress import Progress
from panier_sender.errors import RULES, Class
from panier_sender.failing import Letter
from panier_sender.handlers import FAILED, decide
from panier_sender.happenings import CallFinished
from panier_sender.journal import InDoubt, Journal, Sent
from panier_sender.line import READY, Entry
from panier_sender.loops import concerned
from panier_sender.pacing import Pacing
from panier_sender.window import Window

START = datetime(2026, 11, 23, 12, tzinfo=UTC)
DOUBT_AFTER = timedelta(seconds=20)
NUMBER = "106540352242922"
LINE_LIMIT = 3
HOME = 5
SHOP = ShopConfigured(
    "bakery",
    1,
    "Bakery",
    ("fr", "en"),
    "EUR",
    "Europe/Paris",
    "1",
    (Number(NUMBER, "+33 6", "TOKEN"),),
    True,
    None,
    "simulated",
    1800,
)


class Desk:
    """The journal's table and the log as plain lists; each batch is loaded, decided and saved as in the service."""

    def __init__(self, claims_limit: int = 100) -> None:
        self.now = START
        self.table: list[Entry] = []
        self.timers: dict[str, tuple[datetime, object]] = {}
        self.published: list[MessageSent | MessageFailed] = []
        self.windows: dict[str, Window] = {}
        self.progress = Progress(None, at_end=True)
        self.pacing = Pacing(claims_limit, claims_limit)
        self.calls: dict[str, Entry] = {}
        self.sent: dict[str, Sent] = {}
        self.letters: list[Letter] = []
        self.in_doubt = InDoubt.RESEND
        self.windows_known = True
        self.resent = 0

    def batch(self, *events: object) -> Journal:
        journal = Journal(
            self.now,
            0.0,
            self.pacing.budget(),
            DOUBT_AFTER,
            in_doubt=self.in_doubt,
            windows_known=self.windows_known,
            shops={NUMBER: SHOP},
        )
        self.load(journal, [event.event if isinstance(event, Asked) else event for event in events])
        journal.progress = {HOME: self.progress}
        for event in events:
            self.take(decide(journal, received(event, self.now)))
        self.save(journal)
        return journal

    def load(self, journal: Journal, events: list[object]) -> None:
        """No more than the loop does: what is missing in a batch is missing here."""
        told = [event for event in events if isinstance(event, DeliveryChanged)]
        failed = {event.message_id for event in told if event.status == FAILED}
        journal.sent = {id: sent for id, sent in self.sent.items() if id in failed}
        wanted = concerned(events, journal.sent.values())
        named = {event.message_id for event in told}
        wanted |= {entry.conversation for entry in self.table if entry.id in named or entry.state == READY}
        by_conversation: defaultdict[str, list[Entry]] = defaultdict(list)
        for entry in self.table:
            if entry.conversation in wanted:
                by_conversation[entry.conversation].append(entry)
        for entries in by_conversation.values():
            journal.fill(entries[: LINE_LIMIT + 1], LINE_LIMIT)
        journal.windows = {one: window for one, window in self.windows.items() if one in wanted}

    def take(self, effects) -> None:
        for effect in effects:
            if isinstance(effect, Publish):
                self.published.append(effect.event)
            elif isinstance(effect, SetTimer):
                due = self.now + timedelta(seconds=effect.after_seconds)
                self.timers[effect.key] = (due, effect.event)

    def save(self, journal: Journal) -> None:
        gone = {id for id in journal.finished if id in journal.loaded}
        for id in gone & {id for id, wamid in journal.finished.items() if wamid}:
            e = journal.loaded[id]
            self.sent[id] = Sent(
                id, e.conversation, e.phone_number_id, e.kind, e.origin, journal.finished[id], e.template
            )
        for id in journal.forgotten:
            self.sent.pop(id, None)
        self.letters += journal.letters
        self.windows |= {
            conversation: journal.windows[conversation] for conversation in journal.heard.keys() | journal.no_offers
        }
        changed = {entry.id: entry for entry in journal.changed()}
        self.table = [changed.get(e.id, e) for e in self.table if e.id not in gone] + journal.added()
        self.pacing.commit(
            journal.budget, journal.ended, [(e.id, HOME, NUMBER) for e in journal.claims.values()], self.now
        )
        self.calls |= journal.claims
        self.resent += journal.resent

    def finish(self, message_id: str, kind: Class, **more) -> None:
        entry = self.calls.pop(message_id)
        self.batch(CallFinished(entry.conversation, NUMBER, message_id, entry.attempt, kind.value, self.now, **more))

    def fire(self, key: str) -> None:
        due, event = self.timers.pop(key)
        self.now = max(self.now, due)
        self.batch(event)

    def state(self, message_id: str) -> str | None:
        return next((e.state for e in self.table if e.id == message_id), None)

    def ended(self, message_id: str) -> list[MessageSent | MessageFailed]:
        return [event for event in self.published if event.message_id == message_id]


def received(event: object, now: datetime) -> Received:
    id = event.message_id if isinstance(event, Asked) else str(uuid.uuid4())
    inner = event.event if isinstance(event, Asked) else event
    return Received("t", HOME, 0, id, now, inner, {"ce_source": "/panier/cart"})


class Asked:
    """A MessageRequested with the id of its record."""

    def __init__(
        self, customer: str, message_id: str, lane: str = "answer", answers_at=START, template: Template | None = None
    ) -> None:
        self.message_id = message_id
        self.event = MessageRequested(
            NUMBER,
            f"{NUMBER}:{customer}",
            "bakery",
            Customer(wa_id=customer),
            packed(TextMessage(body=message_id)),
            lane,
            None,
            answers_at,
            template,
        )


def status(message_id: str, name: str = "sent", code: int | None = None, wamid: str = "") -> DeliveryChanged:
    errors = (DeliveryError(code),) if code else ()
    return DeliveryChanged(NUMBER, wamid or f"wamid.{message_id}", name, START, message_id, errors=errors)


def accept(desk: Desk, message_id: str, wamid: str = "") -> None:
    desk.finish(message_id, Class.ACCEPTED, wamid=wamid or f"wamid.{message_id}")


def refuse(desk: Desk, message_id: str, code: int) -> None:
    rule = RULES[code]
    desk.finish(
        message_id, rule.kind, code=code, reason=rule.reason, delay_seconds=rule.delay_seconds, person=rule.person
    )
