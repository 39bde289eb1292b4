"""How many messages may be claimed now, and which numbers have to wait. Rules, and the little they remember.

Kept in memory only: one process owns a number, and after a restart the first refusal says it all again.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from panier_sender.errors import Class, Rule

LONGEST_HOLD_SECONDS = {Class.UNREACHED: 15.0, Class.SLOW_NUMBER: 120.0}
LONGEST_OTHER_HOLD_SECONDS = 600.0  # what only a person can change


class Hold(msgspec.Struct, frozen=True):
    """A number that waits until `until`; then one message, the probe, finds out whether it still must."""

    until: datetime
    kind: Class
    reason: str
    strikes: int = 0
    probe: str | None = None


@dataclass
class Budget:
    """What one batch may claim. `room` and `number_room` count claims that have no committed result yet.

    Homes that are `closed` are being given up: nothing of theirs may be claimed.
    """

    room: int
    number_room: int
    claimed: Counter[str] = field(default_factory=Counter)
    holds: dict[str, Hold] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)
    closed: frozenset[int] = frozenset()

    def room_of(self, number: str, now: datetime) -> int:
        """How many messages of this number may be claimed."""
        hold = self.holds.get(number)
        if hold is not None:
            return min(self.room, int(hold.until <= now and hold.probe is None))
        return max(0, min(self.room, self.number_room - self.claimed[number]))

    def claim(self, number: str, message_id: str) -> None:
        self.room -= 1
        self.claimed[number] += 1
        if number in self.holds:
            self._set(number, msgspec.structs.replace(self.holds[number], probe=message_id))

    def give_back(self, number: str) -> None:
        """A claim has its result."""
        self.room += 1
        self.claimed[number] = max(0, self.claimed[number] - 1)

    def works(self, number: str, message_id: str) -> None:
        """A call went through as far as the number is concerned: if it was the probe, the hold is over."""
        hold = self.holds.get(number)
        if hold is not None and hold.probe == message_id:
            del self.holds[number]
            self.touched.add(number)

    def hold(self, number: str, message_id: str, rule: Rule, now: datetime) -> None:
        """A call was refused because of its number. Calls begun before the hold add nothing to it."""
        before = self.holds.get(number)
        if before is not None and before.probe != message_id:
            return
        strikes = 0 if before is None else before.strikes + 1
        longest = LONGEST_HOLD_SECONDS.get(rule.kind, LONGEST_OTHER_HOLD_SECONDS)
        seconds = min(rule.delay_seconds * 2.0 ** min(strikes, 16), longest)
        self._set(number, Hold(now + timedelta(seconds=seconds), rule.kind, rule.reason, strikes))

    def unprobed(self, number: str, message_id: str) -> None:
        """The probe said nothing about the number: another one may follow."""
        hold = self.holds.get(number)
        if hold is not None and hold.probe == message_id:
            self._set(number, msgspec.structs.replace(hold, probe=None))

    def _set(self, number: str, hold: Hold) -> None:
        self.holds[number] = hold
        self.touched.add(number)


class Pacing:
    """What is known between batches. Changes only when a batch is committed, or a home comes and goes."""

    def __init__(self, claims_limit: int, number_limit: int) -> None:
        self._claims_limit = claims_limit
        self._number_limit = number_limit
        self._claimed: dict[str, tuple[int, str]] = {}
        self.holds: dict[str, Hold] = {}
        # number → home, for numbers that may have ready messages in the journal
        self.backlog: dict[str, int] = {}
        self._closed: frozenset[int] = frozenset()

    @property
    def outstanding(self) -> int:
        return len(self._claimed)

    def budget(self) -> Budget:
        return Budget(
            self._claims_limit - len(self._claimed),
            self._number_limit,
            Counter(number for _, number in self._claimed.values()),
            dict(self.holds),
            closed=self._closed,
        )

    def commit(self, budget: Budget, ended: Iterable[str], claims: Iterable[tuple[str, int, str]]) -> None:
        """Take over what a batch decided: results first, since one message may be claimed again."""
        for message_id in ended:
            self._claimed.pop(message_id, None)
        for message_id, home, number in claims:
            self._claimed[message_id] = (home, number)
        for number in budget.touched:
            if number in budget.holds:
                self.holds[number] = budget.holds[number]
            else:
                self.holds.pop(number, None)

    def note_backlog(self, number: str, home: int) -> None:
        """Messages of this number were left waiting."""
        if home not in self._closed:
            self.backlog[number] = home

    def forget_backlog(self, number: str) -> None:
        """None is waiting."""
        self.backlog.pop(number, None)

    def open(self, homes: Iterable[int]) -> None:
        """These homes are worked here from now on."""
        self._closed -= set(homes)

    def close(self, homes: Iterable[int]) -> None:
        """These homes are about to be given up."""
        self._closed |= set(homes)
        self.backlog = {number: home for number, home in self.backlog.items() if home not in self._closed}

    def forget(self, homes: Iterable[int]) -> None:
        """These homes have another owner."""
        gone = set(homes)
        self._claimed = {key: value for key, value in self._claimed.items() if value[0] not in gone}

    def release(self, number: str) -> None:
        """End a number's hold: there is a new token."""
        self.holds.pop(number, None)

    def servable(self, now: datetime, returned: Iterable[str]) -> dict[int, str]:
        """Homes for which a look at the journal can lead to a claim, each with one of its numbers.

        `returned` are the numbers of the claims whose results are about to be committed.
        """
        budget = self.budget()
        for number in returned:
            budget.give_back(number)
        return {home: number for number, home in self.backlog.items() if budget.room_of(number, now) > 0}
