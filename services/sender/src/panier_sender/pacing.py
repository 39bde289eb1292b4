"""How many messages may be claimed now, and which numbers and customers have to wait. Rules and what they remember.

Kept in memory only: one process owns a number. After a restart, and when its home has another owner, the first refusal
tells of holds again, and what customers were sent lately is read from the journal. Who gets a home back still has its
holds.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from panier_sender.errors import Class, Rule
from panier_sender.rates import DEFAULT_PER_SECOND, PAIR_SECONDS, pair_spent, pair_wait

# Claims of a number are no more than it sends in this time: they are good for 5 s, calls included.
CLAIMED_AHEAD_SECONDS = 2.0
LEAST_PAIRS_KEPT = 10_000

LONGEST_HOLD_SECONDS = {Class.UNREACHED: 15.0, Class.SLOW_NUMBER: 120.0}
LONGEST_OTHER_HOLD_SECONDS = 600.0  # what only a person can change


class Hold(msgspec.Struct, frozen=True):
    """A number that waits until `until`; then one message, the probe, finds out whether it still must."""

    until: datetime
    kind: Class
    reason: str
    home: int
    strikes: int = 0
    probe: str | None = None


@dataclass
class Budget:
    """What one batch may claim. `room` and `number_room` count claims that have no committed result yet.

    `number_room` is a number's fair share, `ahead` what it can send soon. Homes that are `closed` are being
    given up: nothing of theirs may be claimed. `pairs` tells when what a conversation was sent is paid for;
    `paired` what this batch adds.
    """

    room: int
    number_room: int
    ahead: Callable[[str], int] = field(default=lambda number: 1_000_000)
    pairs: Mapping[str, float] = field(default_factory=dict)
    paired: dict[str, float] = field(default_factory=dict)
    claimed: Counter[str] = field(default_factory=Counter)
    holds: dict[str, Hold] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)
    closed: frozenset[int] = frozenset()

    def room_of(self, number: str, now: datetime) -> int:
        """How many messages of this number may be claimed."""
        hold = self.holds.get(number)
        if hold is not None:
            return min(self.room, int(hold.until <= now and hold.probe is None))
        return max(0, min(self.room, min(self.number_room, self.ahead(number)) - self.claimed[number]))

    def pair_wait(self, conversation: str, now: datetime) -> float:
        """Seconds until this customer may be sent another message."""
        return pair_wait(self._paid_at(conversation), now.timestamp())

    def pair_unspent(self, conversation: str) -> None:
        """A message that was claimed has not been sent: it is not to be paid for."""
        self.paired[conversation] = self._paid_at(conversation) - PAIR_SECONDS

    def _paid_at(self, conversation: str) -> float:
        return self.paired.get(conversation) or self.pairs.get(conversation, 0.0)

    def claim(self, number: str, message_id: str, conversation: str, now: datetime) -> None:
        self.paired[conversation] = pair_spent(self._paid_at(conversation), now.timestamp())
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

    def hold(self, number: str, home: int, message_id: str, rule: Rule, now: datetime) -> None:
        """A call was refused because of its number. Calls begun before the hold add nothing to it."""
        before = self.holds.get(number)
        if before is not None and before.probe != message_id:
            return
        strikes = 0 if before is None else before.strikes + 1
        longest = LONGEST_HOLD_SECONDS.get(rule.kind, LONGEST_OTHER_HOLD_SECONDS)
        seconds = min(rule.delay_seconds * 2.0 ** min(strikes, 16), longest)
        self._set(number, Hold(now + timedelta(seconds=seconds), rule.kind, rule.reason, home, strikes))

    def release(self, number: str) -> None:
        """The number need not wait any more."""
        if self.holds.pop(number, None) is not None:
            self.touched.add(number)

    def unprobed(self, number: str, message_id: str) -> None:
        """The probe said nothing about the number: another one may follow."""
        hold = self.holds.get(number)
        if hold is not None and hold.probe == message_id:
            self._set(number, msgspec.structs.replace(hold, probe=None))

    def _set(self, number: str, hold: Hold) -> None:
        self.holds[number] = hold
        self.touched.add(number)


class Pacing:
    """What is known between batches. Changes only when a batch is committed, or a home comes and goes.

    `limit_of` says how many messages a second a number may send, `worth` how many claims can be called in time.
    Nothing is claimed before it `may_begin`: without shops no number has a token.
    """

    def __init__(
        self,
        claims_limit: int,
        number_limit: int,
        limit_of: Callable[[str], float] = lambda number: DEFAULT_PER_SECOND,
        may_begin: Callable[[], bool] = lambda: True,
        worth: Callable[[], int] = lambda: 1_000_000,
    ) -> None:
        self._claims_limit = claims_limit
        self._number_limit = number_limit
        self._limit_of = limit_of
        self._may_begin = may_begin
        self._worth = worth
        self._claimed: dict[str, tuple[int, str]] = {}
        self._of_number: Counter[str] = Counter()
        self._pairs: dict[str, float] = {}
        self._prune_at = LEAST_PAIRS_KEPT
        self.holds: dict[str, Hold] = {}
        # number → home, for numbers that may have ready messages in the journal
        self.backlog: dict[str, int] = {}
        self._closed: frozenset[int] = frozenset()

    def budget(self) -> Budget:
        return Budget(
            self._most() - len(self._claimed) if self._may_begin() else 0,
            min(self._number_limit, self._fair_share()),
            self._ahead,
            self._pairs,
            claimed=Counter(self._of_number),
            holds={number: self._with_probe_alive(hold) for number, hold in self.holds.items()},
            closed=self._closed,
        )

    def _with_probe_alive(self, hold: Hold) -> Hold:
        """A probe whose home went finds nothing out any more: another one may follow when the number comes back."""
        return hold if hold.probe in self._claimed else msgspec.structs.replace(hold, probe=None)

    def held(self) -> dict[str, Hold]:
        """Holds of numbers that are worked here. Of one that went with its home nobody here hears when it ends."""
        return {number: hold for number, hold in self.holds.items() if hold.home not in self._closed}

    def _most(self) -> int:
        return min(self._claims_limit, self._worth())

    def _fair_share(self) -> int:
        """Numbers that share the process share its claims, whoever asked first."""
        return max(1, self._most() // max(1, len(self._of_number.keys() | self.backlog.keys())))

    def _ahead(self, number: str) -> int:
        return max(2, int(self._limit_of(number) * CLAIMED_AHEAD_SECONDS))

    def commit(
        self, budget: Budget, ended: Iterable[str], claims: Iterable[tuple[str, int, str]], now: datetime
    ) -> None:
        """Take over what a batch decided: results first, since one message may be claimed again."""
        for message_id in ended:
            self._drop(message_id)
        for message_id, home, number in claims:
            if home in self._closed:
                continue  # given up while the batch was decided: nobody here hears what becomes of it
            self._claimed[message_id] = (home, number)
            self._of_number[number] += 1
        for number in budget.touched:
            if number in budget.holds:
                self.holds[number] = budget.holds[number]
            else:
                self.holds.pop(number, None)
        self._pairs.update(budget.paired)
        self._prune(now)

    def _drop(self, message_id: str) -> None:
        claimed = self._claimed.pop(message_id, None)
        if claimed is not None:
            self._of_number[claimed[1]] -= 1
            if self._of_number[claimed[1]] <= 0:
                del self._of_number[claimed[1]]

    def _prune(self, now: datetime) -> None:
        """Forget customers whose messages are paid for, each time there are twice as many as were kept."""
        if len(self._pairs) > self._prune_at:
            instant = now.timestamp()
            self._pairs = {conversation: at for conversation, at in self._pairs.items() if at > instant}
            self._prune_at = max(LEAST_PAIRS_KEPT, 2 * len(self._pairs))

    def remember(self, sent: Iterable[tuple[str, datetime]]) -> None:
        """What was sent lately, in order of time, whoever did. Some of it may be our own: nothing is counted twice."""
        found: dict[str, float] = {}
        for conversation, at in sent:
            found[conversation] = pair_spent(found.get(conversation, 0.0), at.timestamp())
        for conversation, paid_at in found.items():
            self._pairs[conversation] = max(self._pairs.get(conversation, 0.0), paid_at)

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
        for message_id in [key for key, (home, _) in self._claimed.items() if home in gone]:
            self._drop(message_id)

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
