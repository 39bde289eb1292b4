"""A dialogue that goes on in another conversation of the same customer. Pure."""

from msgspec import Raw
from msgspec.structs import replace
from panier_common import event as wire
from panier_common import shown

from panier_checkout.dialogue import HELD_LIMIT, Dialogue, Held
from panier_checkout.draft import Draft


def joined(mine: Dialogue, theirs: Dialogue) -> tuple[Dialogue, Draft | None]:
    """Both in one, and the draft that is given up where both wait for the answer about their stock.

    Which order was the last is not known any more, and then it does not matter: the guard by it is for one cart.
    """
    draft, given_up = _one_draft(mine.draft, theirs.draft)
    later = theirs if _sent_later(theirs, mine) else mine
    joined = replace(
        mine,
        draft=draft,
        last_summary=_summary(mine, theirs, draft),
        last_order=None,
        cart_asked="",
        buttons=later.buttons,
        buttons_at=later.buttons_at,
        shown=shown.joined(mine.shown, theirs.shown),
        held=tuple([_here(one, mine.conversation) for one in (*mine.held, *theirs.held)])[:HELD_LIMIT],
        person=mine.person or theirs.person,
    )
    return joined, given_up


def left_behind(dialogue: Dialogue) -> Dialogue:
    return Dialogue(dialogue.conversation, floor_version=dialogue.floor_version)


def _one_draft(mine: Draft | None, theirs: Draft | None) -> tuple[Draft | None, Draft | None]:
    """The one that waits for its stock, else the one of the later question."""
    if mine is None or theirs is None:
        return mine or theirs, None
    if mine.stage == "frozen":
        return mine, theirs if theirs.stage == "frozen" else None
    return (theirs if theirs.stage == "frozen" or theirs.asked_at > mine.asked_at else mine), None


def _sent_later(one: Dialogue, other: Dialogue) -> bool:
    return one.buttons_at is not None and (other.buttons_at is None or one.buttons_at > other.buttons_at)


def _summary(mine: Dialogue, theirs: Dialogue, draft: Draft | None) -> str:
    if draft is None:
        return mine.last_summary or theirs.last_summary
    return theirs.last_summary if draft is theirs.draft else mine.last_summary


def _here(held: Held, conversation: str) -> Held:
    event = replace(wire.decode(held.ce_type, bytes(held.value)), conversation=conversation)
    return replace(held, value=Raw(wire.encode(event)))
