"""Spans of the test's own process, as they end."""

from collections.abc import Iterator
from contextlib import contextmanager

from panier_common import telemetry
from panier_common.spans import Recorder, Span


class Spans(Recorder):
    """A recorder that sends nothing."""

    def __init__(self) -> None:
        self.ended: list[Span] = []

    def keep(self, span: Span) -> None:
        self.ended.append(span)

    def flush(self) -> None:
        """There is nobody to send to."""


@contextmanager
def recorded() -> Iterator[list[Span]]:
    """Inside, every action is traced, and its spans are in the list once they have ended."""
    spans, before = Spans(), (telemetry._State.recorder, telemetry._State.tracing)
    telemetry._State.recorder, telemetry._State.tracing = spans, True
    try:
        yield spans.ended
    finally:
        telemetry._State.recorder, telemetry._State.tracing = before
