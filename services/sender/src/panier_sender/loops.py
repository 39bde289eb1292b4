"""The sender's loops: over numbers (what is to be sent, and what became of it), windows and accounts."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from panier_common import telemetry
from panier_common.batch import Loop
from panier_common.contracts.events import (
    AccountChanged,
    DeliveryChanged,
    MessageRequested,
    RecipientErased,
    ShopConfigured,
)
from panier_common.effects import Effect
from panier_common.event import Received
from panier_common.postgres import Connection
from panier_common.read_progress import Progress
from panier_common.topics import ACCOUNT, DELIVERY, INBOUND, OUTBOUND

from panier_sender import db, limits, metrics, offers
from panier_sender.dispatch import Dispatcher
from panier_sender.handlers import FAILED, decide
from panier_sender.happenings import HAPPENINGS, CallFinished, DelayDue, DoubtDue, MessageReturned, SweepDue, WorkDue
from panier_sender.hearing import Hearing, hear
from panier_sender.journal import InDoubt, Journal, Sent
from panier_sender.pacing import Pacing
from panier_sender.receipts import Receipts

NUMBERS = db.NUMBERS
WINDOWS = db.WINDOWS
ACCOUNTS = "sender.accounts"


@dataclass
class Told:
    """What Meta tells: messages a second by the digits of a number, and by conversation whether offers are stopped."""

    limits: dict[str, tuple[int, datetime]] = field(default_factory=dict)
    no_offers: dict[str, bool] = field(default_factory=dict)


class ReadsDelivery(Protocol):
    """Says how far topics of the loop were read: the runner."""

    async def progress(self, topics: Collection[str], homes: Collection[int]) -> Mapping[tuple[str, int], Progress]: ...


class Numbers:
    """The loop over `outbound` and `delivery`: journal, claims, results. `runner` is set once it is there.

    `shop_of` finds a number's shop; `windows_known` says whether the windows are read as far as they were
    written when this process began, in whichever process.
    """

    def __init__(
        self,
        pacing: Pacing,
        dispatcher: Dispatcher,
        doubt_after: timedelta,
        *,
        in_doubt: InDoubt = InDoubt.RESEND,
        shop_of: Mapping[str, ShopConfigured] | None = None,
        windows_known: Callable[[], bool] = lambda: True,
    ) -> None:
        self._pacing = pacing
        self._dispatcher = dispatcher
        self._doubt_after = doubt_after
        self._in_doubt = in_doubt
        self._shop_of = shop_of or {}
        self._windows_known = windows_known
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
        journal = Journal(
            datetime.now(UTC),
            time.monotonic(),
            self._pacing.budget(),
            self._doubt_after,
            in_doubt=self._in_doubt,
            windows_known=self._windows_known(),
            shops=self._shop_of,
        )
        homes = {record.partition for record in records}
        events = [record.event for record in records]
        statuses = [e for e in events if isinstance(e, DeliveryChanged) and e.message_id]
        failed = [e.message_id for e in statuses if e.status == FAILED]
        if failed:
            journal.sent = await db.load_sent(connection, failed)
        conversations = concerned(events, journal.sent.values())
        journal.looked_at = self._numbers_to_look_at(journal, homes, events)
        journal.unseen = {
            record.event.phone_number_id: record.partition
            for record in records
            if isinstance(record.event, WorkDue) and record.event.phone_number_id not in journal.looked_at
        }
        entries = await db.load_lines(
            connection, sorted(conversations), [e.message_id for e in statuses], journal.looked_at
        )
        journal.fill(entries, db.LINE_LIMIT)
        conversations |= journal.lines.keys()
        if conversations:
            journal.windows = await db.load_windows(connection, conversations)
        if any(isinstance(e, SweepDue) for e in events):
            journal.more_to_forget = await db.forget_old(connection, sorted(homes))
        if self.runner is not None and any(isinstance(e, DoubtDue) for e in events):
            read = await self.runner.progress([DELIVERY.name], homes)
            journal.progress = {home: progress for (_, home), progress in read.items()}
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
        self._pacing.commit(
            journal.budget, journal.ended, [(e.id, e.home, e.phone_number_id) for e in claims], journal.now
        )
        self._note_backlog(journal)
        if journal.letters:
            telemetry.DEAD_LETTERS.add(len(journal.letters), {"loop": NUMBERS})
        if journal.resent:
            metrics.RESENT.add(journal.resent)
        self._dispatcher.start(claims, journal.taken_at)

    def _note_backlog(self, journal: Journal) -> None:
        left = journal.unseen | journal.left_ready()  # whose number is held is to be looked at when it is not
        found = Counter(entry.phone_number_id for entry in journal.loaded.values())
        homes = {entry.phone_number_id: entry.home for entry in journal.loaded.values()}
        for number, limit in journal.looked_at.items():
            if found[number] >= limit:  # as many as were asked for: there may be more
                left.setdefault(number, homes[number])
            elif number not in left:
                self._pacing.forget_backlog(number)
        for number, home in left.items():
            self._pacing.note_backlog(number, home)

    async def _take_over(self, connection: Connection, homes: Sequence[int]) -> None:
        await db.take_over(connection, NUMBERS, homes, self._doubt_after)
        self._pacing.remember(await db.sent_lately(connection, homes))
        self._pacing.open(homes)
        self._dispatcher.open(homes)

    async def _release(self, homes: Sequence[int]) -> None:
        self._pacing.close(homes)
        try:
            await self._dispatcher.release(homes)
        finally:  # also when the time for it is over
            self._pacing.forget(homes)


def concerned(events: Sequence[object], sent: Iterable[Sent]) -> set[str]:
    """Whose lines and windows a batch needs, beside those of messages that are told of by their id and of ready ones.

    A message that Meta took may still turn out to be undelivered: its template joins the customer's line.
    """
    own = (MessageRequested, CallFinished, DoubtDue, DelayDue, WorkDue, MessageReturned)
    found = {e.conversation for e in events if isinstance(e, own) and e.conversation}
    found |= {one for e in events if isinstance(e, RecipientErased) for one in e.conversations}
    return found | {one.conversation for one in sent}


class Windows:
    """The loop over `inbound`: when customers wrote, and whether they said stop."""

    def __init__(self, shops: Mapping[str, ShopConfigured], dispatcher: Dispatcher, receipts: Receipts) -> None:
        self._shops = shops
        self._dispatcher = dispatcher
        self._receipts = receipts

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
        conversations = {str(getattr(record.event, "conversation", "")) for record in records}
        return Hearing(self._shops, await db.load_windows(connection, conversations), now=datetime.now(UTC))

    async def _save(self, connection: Connection, hearing: Hearing) -> None:
        if hearing.changed:
            await db.save_windows(connection, hearing.changed)

    def _committed(self, hearing: Hearing) -> None:
        for number, messages in hearing.fresh.items():
            self._dispatcher.hear(number, messages)
        self._receipts.put(hearing.receipts, self._dispatcher.is_busy)


class Accounts:
    """The loop over `account`: what Meta tells of a number's throughput, and of who wants no offers."""

    def loop(self) -> Loop[Told]:
        return Loop(
            ACCOUNTS,
            (ACCOUNT,),
            wants=lambda topic, headers: True,
            load=self._load,
            decide=self._decide,
            save=self._save,
            remembers=False,
        )

    async def _load(self, connection: Connection, records: Sequence[Received]) -> Told:
        return Told()

    def _decide(self, world: Told, received: Received) -> Sequence[Effect]:
        event = received.event
        if isinstance(event, AccountChanged):
            limit = limits.told(event)
            if limit is not None:
                world.limits[limit[0]] = (limit[1], event.at)
            world.no_offers |= offers.told(event)
        return []

    async def _save(self, connection: Connection, world: Told) -> None:
        if world.limits:
            await db.save_limits(connection, world.limits)
        if world.no_offers:
            await db.save_offers(connection, world.no_offers)
