"""Which merges this replica has told already: a message of a linked customer need not tell them each time.

Bounded, and forgotten with the process: to tell one again does no harm.
"""

from collections.abc import Sequence

from panier_common.contracts.events import ConversationMerged

from panier_ingest.envelope import Update

REMEMBERED = 100_000


class Told:
    """The ids of merges that the log has acknowledged, the oldest first."""

    def __init__(self) -> None:
        self._ids: dict[str, None] = {}

    def untold(self, updates: list[Update]) -> list[Update]:
        """The updates without merges told before. They come last, and nearly always there are none."""
        if not isinstance(updates[-1].event, ConversationMerged):
            return updates
        return [update for update in updates if update.id not in self._ids]

    def take(self, updates: Sequence[Update]) -> None:
        if not isinstance(updates[-1].event, ConversationMerged):
            return
        for update in updates:
            if isinstance(update.event, ConversationMerged):
                self._ids[update.id] = None
        while len(self._ids) > REMEMBERED:
            del self._ids[next(iter(self._ids))]
