"""Meta's limits that depend on time: the 24-hour window, the pair rate, a number's throughput. Pure."""

from collections import deque
from dataclasses import dataclass, field

from panier_simulator.errors import GraphError

WINDOW_SECONDS = 24 * 3600
PAIR_SECONDS = 6.0  # one message to one customer in 6 seconds…
WAY_SECONDS = 0.05  # a message may have left so long before it is read here
ROUNDING = 1e-6  # what floats lose on seconds since 1970
PAIR_BURST = 45  # …or up to 45 at once, borrowed from the time to come
MANAGED_PER_HOUR = 5000  # calls about an active account


def check_window(last_from_customer_at: float | None, now: float) -> None:
    """A free message needs words of the customer in the last 24 hours."""
    if last_from_customer_at is None or now - last_from_customer_at > WINDOW_SECONDS:
        raise GraphError(
            131047,
            "Message failed to send because more than 24 hours have passed since the customer last replied"
            " to this number.",
        )


@dataclass
class Rates:
    """The pair rate and the calls about an account are token buckets, each kept as the time at which it is full again.

    A number's throughput is "messages a second" and nothing more in Meta's pages, which lend no burst for it as they
    do for the pair rate: so no second, wherever it begins, takes more. `messages_per_second` holds for every number
    that has no limit of its own in `limits`; 0 is no limit.
    """

    pair_rate: bool
    messages_per_second: int
    limits: dict[str, int] = field(default_factory=dict)
    _pairs: dict[tuple[str, str], float] = field(default_factory=dict)
    _numbers: dict[str, deque[float]] = field(default_factory=dict)
    _managed: dict[str, float] = field(default_factory=dict)

    def take(self, number: str, customer: str, now: float, held_up: float = 0.0) -> None:
        """Count a message of the shop, or raise the error of the limit it would break; then nothing is counted.

        `held_up` are the seconds for which this process may have left the message unread.
        """
        pair = (number, customer)
        full_at = max(self._pairs.get(pair, now), now) + PAIR_SECONDS
        if self.pair_rate and full_at - now > PAIR_SECONDS * PAIR_BURST + ROUNDING:
            raise GraphError(131056, "Too many messages sent to this recipient in a short time.")
        if not self.count(number, now, held_up):
            raise GraphError(130429, "Cloud API message throughput has been reached.")
        if self.pair_rate:
            self._pairs[pair] = full_at

    def count(self, number: str, now: float, held_up: float = 0.0) -> bool:
        """Count a message of either direction; False when this second's share is used up.

        It counts from the earliest moment at which it may have come that leaves room for it: what came in good time
        and was read in a heap breaks nothing, and more than the limit is refused as soon as it lasts.
        """
        limit = self.limits.get(number, self.messages_per_second)
        if not limit:
            return True
        times = self._numbers.setdefault(number, deque())
        while len(times) > limit:
            times.popleft()
        came = now - WAY_SECONDS - held_up
        at = max(came, times[-1] if times else came, times[0] + 1.0 if len(times) == limit else came)
        if at > now + ROUNDING:
            return False
        times.append(at)
        return True

    def manage(self, account: str, now: float) -> None:
        """Count a call about templates or settings, or raise the account's own limit."""
        full_at = max(self._managed.get(account, now), now) + 3600 / MANAGED_PER_HOUR
        if full_at - now > 3600 + ROUNDING:
            raise GraphError(80007, "There have been too many calls to this WhatsApp Business account.")
        self._managed[account] = full_at
