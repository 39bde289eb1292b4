"""How fast Meta takes messages: of a number, and to one customer. Arithmetic on times; keeps nothing itself.

Both limits are kept as one time each, the moment at which all that was sent is paid for (a token bucket whose
tokens need not be counted). Sources: Meta's pages on throughput and on the pair rate (September 2026).
"""

import msgspec

DEFAULT_PER_SECOND = 80
HIGHEST_PER_SECOND = 1000
COEXISTENCE_PER_SECOND = 20

# A message that goes late by up to so much does not make the next ones late: the event loop looks every few
# milliseconds. It is also what may leave at once after a pause: one or two messages at 80 a second.
LATE_SECONDS = 0.02
# So far may a call as it is counted here be from the same call as it is begun.
APART_SECONDS = 0.005
# All of that is taken from each second, so that none of them, wherever it begins, sees more than the limit.
USED_SHARE = 1.0 / (1.0 + LATE_SECONDS + APART_SECONDS)
SLOWEST = 1 / 16
RECOVERY_SECONDS = 60.0
# However much customers write, this share of the pace stays ours, also while a refusal has made it slow.
OUR_SHARE = 0.5

FIRST_CALLS = 8
# So many rounds of calls begin while there is time for them, if Meta answers within a second.
CLAIMED_ROUNDS = 3
# Meta answers in some tenths of a second; longer, and calls wait for each other somewhere.
QUICK_SECONDS = 1.0
PAUSE_SECONDS = 4.0

PAIR_SECONDS = 6.0
# Meta lends 45 messages. One is left to it: a message that was long on its way shortens the time to the next.
PAIR_BURST = 44


class Pace(msgspec.Struct):
    """A number's pace. `paid_at` is when what it sent is paid for; `share` what a refusal left of its limit.

    `pending` are messages whose turn has come and whose calls have not begun yet. What counts is when calls begin:
    a process that was held up in between goes on from there, and catches nothing up. `heard_until` is the same as
    `paid_at` for what customers wrote.
    """

    per_second: float
    paid_at: float = 0.0
    share: float = 1.0
    slowed_at: float = float("-inf")
    heard_until: float = 0.0
    pending: int = 0

    def share_at(self, now: float) -> float:
        """After a refusal the pace grows back to the limit within a minute."""
        return min(1.0, self.share + max(0.0, now - self.slowed_at) / RECOVERY_SECONDS)

    def free_at(self, now: float) -> float:
        """When the next message may go."""
        return self._paid_if_begun(now) - LATE_SECONDS

    def take(self, now: float) -> None:
        """A message has its turn: its call is about to begin."""
        self._spend(now, 1)
        self.pending += 1

    def begin(self, now: float) -> None:
        """The call of the first that is pending begins: it is paid for from now on, and so are those behind it."""
        self.paid_at = self._paid_if_begun(now)
        self.pending -= 1

    def spare(self) -> None:
        """One that had its turn is not called after all."""
        self.pending -= 1

    def hear(self, now: float, messages: int) -> None:
        """Customers' messages count towards the limit as well; what they have of it is theirs second by second.

        Theirs is a share of the pace they are paid for at: of the whole limit it would be more than a slow pace is.
        """
        theirs = self.rate(now) * (1.0 - OUR_SHARE)
        counted = min(messages, (now + 1.0 - max(self.heard_until, now)) * theirs)
        if counted > 0:
            self.heard_until = max(self.heard_until, now) + counted / theirs
            self._spend(now, counted)

    def slow(self, now: float) -> None:
        """Meta says it was too much: half as fast from now on. What was on its way already adds nothing."""
        if now - self.slowed_at >= 1.0:
            self.share, self.slowed_at = max(SLOWEST, self.share_at(now) / 2), now

    def rate(self, now: float) -> float:
        """Messages a second in the long run."""
        return self.per_second * USED_SHARE * self.share_at(now)

    def _spend(self, now: float, messages: float) -> None:
        self.paid_at = max(self.paid_at, now) + messages / self.rate(now)

    def _paid_if_begun(self, now: float) -> float:
        """When all would be paid for if what is pending began now."""
        return max(self.paid_at, now + self.pending / self.rate(now))


class Opening(msgspec.Struct):
    """How many calls may be in flight: `most` at most, few at first, so that connections open in turn.

    A thousand handshakes at once would all take too long, and be begun again. And whoever answers ever later still
    reads each call that was given up: more of them at once would only come late, and then twice. So a quick answer
    makes room for one more, a round of slow ones for one, and a call without an answer halves it. Of answers lost by
    chance, a share p of all, it bears 2/p at once.
    """

    most: int
    allowed: float = FIRST_CALLS
    quiet_since: float = 0.0

    def claims(self) -> int:
        """How many messages are worth claiming: more would be given back uncalled."""
        return CLAIMED_ROUNDS * int(self.allowed)

    def answered(self, seconds: float) -> None:
        more = 1.0 if seconds < QUICK_SECONDS else 1.0 / self.allowed
        self.allowed = min(self.most, self.allowed + more)

    def unanswered(self) -> None:
        self.allowed = max(FIRST_CALLS, self.allowed / 2)

    def unreached(self) -> None:
        self.allowed = FIRST_CALLS

    def room(self, in_flight: int, now: float) -> int:
        """How many calls may begin. After a pause the connections are closed, and it begins anew."""
        if in_flight > 0:
            self.quiet_since = now
        elif now - self.quiet_since > PAUSE_SECONDS:
            self.allowed = FIRST_CALLS
        return min(int(self.allowed), self.most) - in_flight


def pair_wait(paid_at: float, now: float) -> float:
    """Seconds until this customer may get another message."""
    return max(0.0, max(paid_at, now) + PAIR_SECONDS - PAIR_SECONDS * PAIR_BURST - now)


def pair_spent(paid_at: float, now: float) -> float:
    """When all is paid for, with one more message sent now."""
    return max(paid_at, now) + PAIR_SECONDS
