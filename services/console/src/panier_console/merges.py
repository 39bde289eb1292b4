"""The loop over conversations, taking part in merges: who has the floor goes along; what was said stays where it is.

A customer's messages are read from every conversation that is now this one (`db.find_conversations`).
"""

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace
from panier_common.batch import Loop
from panier_common.contracts.events import ConversationMerged, FloorChanged, StateMoved
from panier_common.effects import Effect, Publish
from panier_common.event import Received
from panier_common.identity import customer_in
from panier_common.merging import Merging, Rows, merging

from panier_console import inbox as floor
from panier_console.inbox import Inbox
from panier_console.loops import Conversations

INBOX = "inbox"


def merging_inboxes(loop: Loop[Conversations]) -> Loop[Merging[Conversations]]:
    return merging(loop, _part, _join)


def _part(world: Conversations, merged: ConversationMerged, received: Received) -> tuple[Rows, Sequence[Effect]]:
    inbox = world.inboxes.get(merged.conversation)
    if inbox is None:
        return (), ()
    world.put(floor.handed_back(inbox) if inbox.person else inbox)
    return ((INBOX, inbox),), ()


def _join(world: Conversations, moved: StateMoved, received: Received) -> Sequence[Effect]:
    theirs = msgspec.json.decode(moved.document, type=Inbox)
    mine = world.inboxes.get(moved.conversation)
    after = floor.joined(mine or Inbox(moved.conversation, theirs.phone_number_id), theirs)
    here = customer_in(moved.conversation)
    world.put(replace(after, user_id=here.user_id or after.user_id, wa_id=here.wa_id or after.wa_id))
    if not after.person or (mine is not None and mine.person) or after.shop is None:
        return ()
    return (Publish(FloorChanged(after.conversation, after.shop, True, after.version, moved.at)),)
