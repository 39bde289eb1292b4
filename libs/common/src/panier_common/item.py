"""What a batch is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from panier_common import telemetry
from panier_common.event import TRACEPARENT, Headers, Received
from panier_common.spans import Span
from panier_common.timers import DueTimer


@dataclass(eq=False, slots=True)
class Item:
    """One thing to decide on: a record, a due timer, a replayed dead letter or a result from within.

    `received` is None for what the loop does not want; `dead` says why nobody could digest it.
    """

    home: int
    topic: str
    partition: int
    offset: int
    key: str
    headers: Headers
    value: bytes | None
    received: Received | None = None
    dead: str | None = None
    timer: DueTimer | None = None
    replays: UUID | None = None
    span: Span | None = None

    def begin_span(self, span: Span) -> None:
        """This item's work is a span: what follows from it is its child."""
        self.span = span
        self.headers[TRACEPARENT] = telemetry.traceparent_of(span)

    @property
    def is_record(self) -> bool:
        return self.timer is None and self.replays is None and self.offset >= 0


def end_spans(items: Sequence[Item]) -> None:
    """The batch is committed: what was processed is done."""
    for item in items:
        if item.span is not None:
            if item.dead is not None:
                item.span.fail("dead letter")
            item.span.end()
