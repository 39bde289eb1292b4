"""The loop over conversations, taking part in merges: a dialogue and its orders leave a home for another's."""

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace
from panier_common.batch import Loop
from panier_common.contracts.events import ConversationMerged, OrderCancelled, StateMoved
from panier_common.effects import Effect, Publish
from panier_common.event import Received
from panier_common.merging import Merging, Rows, merging

from panier_checkout import moving
from panier_checkout.decision import Decision
from panier_checkout.desk import Desk
from panier_checkout.dialogue import Dialogue
from panier_checkout.draft import order_id_of
from panier_checkout.order import Order

DIALOGUE, ORDER = "dialogue", "order"


def merging_dialogues(loop: Loop[Desk]) -> Loop[Merging[Desk]]:
    return merging(loop, _part, _join)


def _part(desk: Desk, merged: ConversationMerged, received: Received) -> tuple[Rows, Sequence[Effect]]:
    """The orders stay as rows until the other home takes them over: money for them may come at any moment."""
    rows: list[tuple[str, msgspec.Struct]] = []
    dialogue = desk.dialogues.get(merged.conversation)
    if dialogue is not None:
        rows.append((DIALOGUE, dialogue))
        desk.take(Decision(dialogue=moving.left_behind(dialogue)))
    orders = desk.orders.pop(merged.conversation, {})
    rows += [(ORDER, order) for order in sorted(orders.values(), key=lambda order: order.placed_at)]
    return rows, ()


def _join(desk: Desk, moved: StateMoved, received: Received) -> Sequence[Effect]:
    if moved.what == ORDER:
        order = msgspec.json.decode(moved.document, type=Order)
        desk.adopt(replace(order, conversation=moved.conversation))
        return ()
    theirs = msgspec.json.decode(moved.document, type=Dialogue)
    dialogue, given_up = moving.joined(desk.dialogue(moved.conversation), theirs)
    desk.take(Decision(dialogue=dialogue))
    if given_up is None:
        return ()
    # What is reserved for it is freed; the customer has the other one to go on with.
    order_id = order_id_of(given_up.draft_id)
    return [Publish(OrderCancelled(moved.conversation, given_up.shop, order_id, "panier", moved.at))]
