"""How far a topic was read, and whether that is far enough. Pure."""

from datetime import datetime
from typing import NamedTuple


class Progress(NamedTuple):
    """How far a topic-partition was read: the append time of the last record, and whether the log ended there."""

    read_to: datetime | None = None
    at_end: bool = False

    def passed(self, moment: datetime, now: datetime) -> bool:
        """Whether all that was written before that moment is read; where the log ends was asked after `now`."""
        return (self.read_to is not None and self.read_to >= moment) or (self.at_end and now >= moment)
