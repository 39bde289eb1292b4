"""The loop over conversations, taking part in merges: how a cart leaves its home and comes into another's."""

from collections.abc import Sequence

import msgspec
from panier_common.batch import Loop
from panier_common.contracts.events import ConversationMerged, StateMoved
from panier_common.effects import Effect, Publish
from panier_common.event import Received
from panier_common.merging import Merging, Rows, merging

from panier_cart import handlers, moving
from panier_cart.cart import Cart
from panier_cart.loops import Conversations, Shops, conversations

CART = "cart"


def merging_conversations(shops: Shops) -> Loop[Merging[Conversations]]:
    return merging(conversations(shops), _part, _join)


def _part(work: Conversations, merged: ConversationMerged, received: Received) -> tuple[Rows, Sequence[Effect]]:
    cart = work.carts.get(merged.conversation)
    if cart is None:
        return (), ()
    after = moving.left_behind(cart, merged.customer)
    _keep(work, after)
    return ((CART, cart),), [Publish(event) for event in handlers.changes(cart, after, after.customer)]


def _join(work: Conversations, moved: StateMoved, received: Received) -> Sequence[Effect]:
    theirs = msgspec.json.decode(moved.document, type=Cart)
    mine = work.carts.get(moved.conversation)
    after = moving.joined(mine, theirs, moved.conversation, moved.at)
    _keep(work, after)
    before = mine or msgspec.structs.replace(after, version=0)
    return [Publish(event) for event in handlers.changes(before, after, after.customer)]


def _keep(work: Conversations, cart: Cart) -> None:
    work.carts[cart.conversation] = cart
    work.changed.add(cart.conversation)
