"""The sender's own metrics, beside those that every loop has.

Counters count everything, a batch at a time. Histograms take a sample when there is much to do: their shape is the
same, and a record of each call would cost a fifth of the whole sender.
"""

from collections import Counter

from opentelemetry import metrics

from panier_sender.errors import Class
from panier_sender.line import Entry

_METER = metrics.get_meter("panier")

CALLS = _METER.create_counter("panier.graph.calls", description="Graph API calls, by class of answer and code.")
CALL_SECONDS = _METER.create_histogram("panier.graph.call", unit="s", description="Time of a Graph API call.")
SEND_SECONDS = _METER.create_histogram(
    "panier.send.latency", unit="s", description="From the request for a message until Meta accepted it."
)
REPLY_SECONDS = _METER.create_histogram(
    "panier.reply",
    unit="s",
    description="From the customer's message, by Meta's clock of whole seconds, until Meta accepted an answer.",
)
RESENT = _METER.create_counter(
    "panier.graph.resent", description="Messages sent again because no status proved the call in doubt."
)
RECEIPTS = _METER.create_counter("panier.receipts", description="Messages marked read, by outcome.")

SAMPLES_PER_SECOND = 50


class Calls:
    """What calls came to: `note` each, `flush` now and then."""

    def __init__(self) -> None:
        self._counted: Counter[tuple[str, int]] = Counter()
        self._second = 0
        self._samples = 0

    def note(self, entry: Entry, kind: Class, code: int, seconds: float, now: float) -> None:
        """A call ended at `now` of the system's clock, after so many seconds (0 when it never began)."""
        self._counted[kind.value, code] += 1
        if int(now) != self._second:
            self._second, self._samples = int(now), 0
        if seconds <= 0 or self._samples >= SAMPLES_PER_SECOND:
            return
        self._samples += 1
        CALL_SECONDS.record(seconds, {"class": kind.value})
        if kind is Class.ACCEPTED:
            # Other clocks than ours stamped these: one that is ahead must not make a negative latency.
            SEND_SECONDS.record(max(now - entry.requested_at.timestamp(), 0.0), {"lane": entry.lane})
            if entry.answers_at is not None:
                REPLY_SECONDS.record(max(now - entry.answers_at.timestamp(), 0.0))

    def flush(self) -> None:
        for (kind, code), count in self._counted.items():
            CALLS.add(count, {"class": kind, "code": code})
        self._counted.clear()
