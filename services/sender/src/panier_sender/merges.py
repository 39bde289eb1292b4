"""The loop over windows, taking part in merges: a stop and the 24 hours go along with their customer. Pure."""

from collections.abc import Sequence

import msgspec
from panier_common.batch import Loop
from panier_common.contracts.events import ConversationMerged, StateMoved
from panier_common.effects import Effect
from panier_common.event import Received
from panier_common.merging import Merging, Rows, merging

from panier_sender.hearing import Hearing
from panier_sender.window import Window, joined

WINDOW = "window"


def merging_windows(loop: Loop[Hearing]) -> Loop[Merging[Hearing]]:
    return merging(loop, _part, _join)


def _part(hearing: Hearing, merged: ConversationMerged, received: Received) -> tuple[Rows, Sequence[Effect]]:
    """The row stays: what was asked for under this key before still finds it, and the other's beside it."""
    window = hearing.windows.get(merged.conversation)
    return ((WINDOW, window),) if window is not None else (), ()


def _join(hearing: Hearing, moved: StateMoved, received: Received) -> Sequence[Effect]:
    hearing.put(
        moved.conversation,
        joined(hearing.windows.get(moved.conversation) or Window(), msgspec.json.decode(moved.document, type=Window)),
    )
    return ()
