"""The sender's own metrics, beside those that every loop has.

Counters count everything, a batch at a time. Histograms take a sample when there is much to do: their shape is the
same, and a record of each call would cost a fifth of the whole sender.
"""

from collections import Counter

from panier_common import telemetry

from panier_sender.errors import Class
from panier_sender.line import Entry

CALLS = telemetry.counter("panier.graph.calls")
CALL_SECONDS = telemetry.histogram("panier.graph.call")
SEND_SECONDS = telemetry.histogram("panier.send.latency")
REPLY_SECONDS = telemetry.histogram("panier.reply")
RESENT = telemetry.counter("panier.graph.resent")
RECEIPTS = telemetry.counter("panier.receipts")

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
        trace = telemetry.during(entry.traceparent)
        CALL_SECONDS.record(seconds, {"class": kind.value}, trace)
        if kind is Class.ACCEPTED:
            # Other clocks than ours stamped these: one that is ahead must not make a negative latency.
            SEND_SECONDS.record(max(now - entry.requested_at.timestamp(), 0.0), {"lane": entry.lane}, trace)
            if entry.answers_at is not None:
                REPLY_SECONDS.record(max(now - entry.answers_at.timestamp(), 0.0), context=trace)

    def flush(self) -> None:
        for (kind, code), count in self._counted.items():
            CALLS.add(count, {"class": kind, "code": code})
        self._counted.clear()
