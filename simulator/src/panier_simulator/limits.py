"""Meta's limits that depend on time: the 24-hour window, the pair rate, a number's throughput. Pure."""

from dataclasses import dataclass, field

from panier_simulator.errors import GraphError

WINDOW_SECONDS = 24 * 3600
PAIR_SECONDS = 6.0  # one message to one customer in 6 seconds…
ROUNDING = 1e-6  # what floats lose on seconds since 1970
PAIR_BURST = 45  # …or up to 45 at once, borrowed from the time to come


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
    """Token buckets, each kept as the time at which it is full again."""

    pair_rate: bool
    messages_per_second: int
    _pairs: dict[tuple[str, str], float] = field(default_factory=dict)
    _numbers: dict[str, float] = field(default_factory=dict)

    def take(self, number: str, customer: str, now: float) -> None:
        """Count a message of the shop, or raise the error of the limit it would break."""
        if self.pair_rate:
            full_at = max(self._pairs.get((number, customer), now), now) + PAIR_SECONDS
            if full_at - now > PAIR_SECONDS * PAIR_BURST + ROUNDING:
                raise GraphError(131056, "Too many messages sent to this recipient in a short time.")
            self._pairs[number, customer] = full_at
        if self.messages_per_second and not self.count(number, now):
            raise GraphError(130429, "Cloud API message throughput has been reached.")

    def count(self, number: str, now: float) -> bool:
        """Count a message of either direction; False when this second's share is used up."""
        if not self.messages_per_second:
            return True
        full_at = max(self._numbers.get(number, now), now) + 1 / self.messages_per_second
        if full_at - now > 1 + ROUNDING:
            return False
        self._numbers[number] = full_at
        return True
