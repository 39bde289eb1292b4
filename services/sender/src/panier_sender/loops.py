"""The sender's two loops: over numbers (what is to be sent, and what became of it) and over windows."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from panier_common.batch import Loop
from panier_common.contracts.events import DeliveryChanged, MessageReceived, MessageRequested, ShopConfigured
from panier_common.event import Received
from panier_common.postgres import Connection
from panier_common.topics import DELIVERY, INBOUND, OUTBOUND

from panier_sender import db, metrics
from panier_sender.dispatch import Dispatcher
from panier_sender.handlers import FAILED, decide
from panier_sender.happenings import HAPPENINGS, CallFinished, DelayDue, DoubtDue, WorkDue
from panier_sender.hearing import Hearing, hear
from panier_sender.journal import Journal, Progress
from panier_sender.pacing import Pacing
from panier_sender.receipts import Receipts

NUMBERS = "sender.numbers"
WINDOWS = "sender.windows"


class ReadsDelivery(Protocol):
    """Says how far a topic of the loop was read: the runner."""

    def progress(self, topic: str, partition: int) -> tuple[datetime | None, bool]: ...


class Numbers:
    """The loop over `outbound` and `delivery`: journal, claims, results. `runner` is set once it is there."""

    def __init__(self, pacing: Pacing, dispatcher: Dispatcher, doubt_after: timedelta) -> None:
        self._pacing = pacing
        self._dispatcher = dispatcher
        self._doubt_after = doubt_after
        self.runner: ReadsDelivery | None = None

    def loop(self) -> Loop[Journal]:
        return Loop(
            NUMBERS,
            (OUTBOUND, DELIVERY),
            wants=lambda topic, headers: True,
            load=self._load,
            decide=decide,
            save=db.save_journal,
            timer_events=HAPPENINGS,
            remembers=False,
            on_commit=self._committed,
            on_take_over=self._take_over,
            on_release=self._release,
        )

    async def _load(self, connection: Connection, records: Sequence[Received]) -> Journal:
        journal = Journal(datetime.now(UTC), time.monotonic(), self._pacing.budget(), self._doubt_after)
        homes = {record.partition for record in records}
        events = [record.event for record in records]
        statuses = [e for e in events if isinstance(e, DeliveryChanged) and e.message_id]
        own = (MessageRequested, CallFinished, DoubtDue, DelayDue, WorkDue)
        conversations = {e.conversation for e in events if isinstance(e, own) and e.conversation}
        journal.looked_at = self._numbers_to_look_at(journal, homes, events)
        entries = await db.load_lines(
            connection, sorted(conversations), [e.message_id for e in statuses], journal.looked_at
        )
        journal.fill(entries, db.LINE_LIMIT)
        conversations |= journal.lines.keys()
        if conversations:
            journal.windows = await db.load_windows(connection, conversations)
        failed = [e.message_id for e in statuses if e.status == FAILED]
        if failed:
            journal.sent = await db.load_sent(connection, failed)
        if self.runner is not None and any(isinstance(e, DoubtDue) for e in events):
            journal.progress = {home: Progress(*self.runner.progress(DELIVERY.name, home)) for home in homes}
        return journal

    def _numbers_to_look_at(self, journal: Journal, homes: set[int], events: Sequence[object]) -> dict[str, int]:
        """Which numbers' waiting messages to load, and how many: no more than could be claimed."""
        budget = self._pacing.budget()
        for event in events:
            if isinstance(event, CallFinished):
                budget.give_back(event.phone_number_id)
        numbers = {number for number, home in self._pacing.backlog.items() if home in homes}
        numbers |= {event.phone_number_id for event in events if isinstance(event, WorkDue)}
        rooms = Counter({number: budget.room_of(number, journal.now) for number in numbers})
        share = max(1, -(-max(0, budget.room) // max(1, len(+rooms))))
        return {number: min(room, share) for number, room in (+rooms).items()}

    def _committed(self, journal: Journal) -> None:
        claims = journal.claims.values()
        self._pacing.commit(journal.budget, journal.ended, [(e.id, e.home, e.phone_number_id) for e in claims])
        self._note_backlog(journal)
        if journal.resent:
            metrics.RESENT.add(journal.resent)
        self._dispatcher.start(claims, journal.taken_at)

    def _note_backlog(self, journal: Journal) -> None:
        left = journal.left_ready()
        found = Counter(entry.phone_number_id for entry in journal.loaded.values())
        for number, limit in journal.looked_at.items():
            if number not in left and found[number] < limit:
                self._pacing.forget_backlog(number)
        for number, home in left.items():
            self._pacing.note_backlog(number, home)

    async def _take_over(self, connection: Connection, homes: Sequence[int]) -> None:
        await db.take_over(connection, NUMBERS, homes, self._doubt_after)
        self._pacing.open(homes)
        self._dispatcher.open(homes)

    async def _release(self, homes: Sequence[int]) -> None:
        self._pacing.close(homes)
        await self._dispatcher.release(homes)
        self._pacing.forget(homes)


class Windows:
    """The loop over `inbound`: when customers wrote, and whether they said stop."""

    def __init__(
        self, shops: Mapping[str, ShopConfigured], pacing: Pacing, receipts: Receipts, busy_above: int
    ) -> None:
        self._shops = shops
        self._pacing = pacing
        self._receipts = receipts
        self._busy_above = busy_above

    def loop(self) -> Loop[Hearing]:
        return Loop(
            WINDOWS,
            (INBOUND,),
            wants=lambda topic, headers: True,
            load=self._load,
            decide=hear,
            save=self._save,
            on_commit=self._committed,
        )

    async def _load(self, connection: Connection, records: Sequence[Received]) -> Hearing:
        conversations = {r.event.conversation for r in records if isinstance(r.event, MessageReceived)}
        return Hearing(self._shops, await db.load_windows(connection, conversations))

    async def _save(self, connection: Connection, hearing: Hearing) -> None:
        if hearing.changed:
            await db.save_windows(connection, hearing.changed)

    def _committed(self, hearing: Hearing) -> None:
        self._receipts.put(hearing.receipts, busy=self._pacing.outstanding > self._busy_above)
