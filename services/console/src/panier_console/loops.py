"""The console's two loops: whose records they want, what they load and save, and which handler decides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from panier_common.batch import Loop
from panier_common.contracts.events import (
    DeliveryChanged,
    EnquiryRaised,
    FloorReturned,
    MessageFailed,
    MessageReceived,
    MessageRequested,
    MessageSent,
    RecipientErased,
)
from panier_common.effects import Effect, Publish, SetTimer
from panier_common.erasing import LOOK_AGAIN_SECONDS, SETTLE_SECONDS, ErasureDue, Look, forget, timer_key
from panier_common.event import OWNER, Headers, Received
from panier_common.postgres import Connection
from panier_common.read_progress import Progress
from panier_common.routing import CONSOLE
from panier_common.shops import ShopDirectory
from panier_common.topics import COMMAND, DELIVERY, ENQUIRY, INBOUND, OUTBOUND, SENT

from panier_console import db as rows
from panier_console import erasure, handlers
from panier_console.handlers import Decision
from panier_console.inbox import Inbox
from panier_console.state import Reached, reached
from panier_console.text import GROUP, kind_of, shown, text_of

# People read the inbox: what comes is kept twenty times a second, out of the way of the services that answer.
GATHER_SECONDS = 0.05

DELIVERIES = "console.deliveries"
BY_NUMBER = (OUTBOUND, DELIVERY)


@dataclass
class Conversations:
    """The working set of a batch: rows by key, and which of them are to be saved."""

    inboxes: dict[str, Inbox]
    inbound: list[rows.Inbound] = field(default_factory=list)
    sent: dict[UUID, rows.Sent] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)

    def inbox(self, conversation: str) -> Inbox:
        known = self.inboxes.get(conversation)
        return known or Inbox(conversation, conversation.partition(":")[0])

    def put(self, inbox: Inbox) -> None:
        if inbox != self.inboxes.get(inbox.conversation):
            self.inboxes[inbox.conversation] = inbox
            self.changed.add(inbox.conversation)

    def tell(self, message: rows.Sent) -> None:
        """Keep the further of what was known and this."""
        known = self.sent.get(message.id)
        if known is None or known.reached < message.reached:
            self.sent[message.id] = message


@dataclass
class Deliveries:
    """The working set of a batch: what is to be saved, since nothing known before matters, and who is to be forgotten,
    with the homes and how far these were read.
    """

    outgoing: list[rows.Outgoing] = field(default_factory=list)
    deliveries: dict[tuple[str, str], rows.Delivery] = field(default_factory=dict)
    progress: Mapping[tuple[str, int], Progress] = field(default_factory=dict)
    due: list[ErasureDue] = field(default_factory=list)
    homes: set[int] = field(default_factory=set)


def conversations(shops: ShopDirectory) -> Loop[Conversations]:
    """Customers' messages, who has the floor, and what the sender says of ours: by a conversation's home."""

    def decide(world: Conversations, received: Received) -> Sequence[Effect]:
        decision = _decided(world, received, shops)
        if decision is None:
            return ()
        world.put(decision.inbox)
        return [Publish(event) for event in decision.events]

    return Loop(
        name="console.conversations",
        topics=(INBOUND, SENT, ENQUIRY, COMMAND),
        wants=_wants,
        load=_load_conversations,
        decide=decide,
        save=_save_conversations,
        gather_seconds=GATHER_SECONDS,
    )


def deliveries(look: Look) -> Loop[Deliveries]:
    """Our messages and how far they came, as Meta tells: by a phone number's home. `look` is its runner's."""

    async def load(_: Connection, batch: Sequence[Received]) -> Deliveries:
        homes = {received.partition for received in batch if isinstance(received.event, ErasureDue)}
        return Deliveries(progress=await look([topic.name for topic in BY_NUMBER], homes) if homes else {})

    return Loop(
        name=DELIVERIES,
        topics=BY_NUMBER,
        wants=lambda _, __: True,
        load=load,
        decide=_keep_delivery,
        save=_save_deliveries,
        timer_events=(ErasureDue,),
        remembers=False,
        gather_seconds=GATHER_SECONDS,
    )


def _wants(topic: str, headers: Headers) -> bool:
    if topic == ENQUIRY.name:
        return headers.get(OWNER) == CONSOLE
    if topic == COMMAND.name:
        return headers.get("ce_type") == FloorReturned.ce_type
    return True


def _decided(world: Conversations, received: Received, shops: ShopDirectory) -> Decision | None:
    match received.event:
        case MessageReceived() as message:
            world.inbound.append(_inbound(received, message))
            inbox = handlers.keep(world.inbox(message.conversation), message)
            if received.headers.get(OWNER) != CONSOLE:
                return Decision(inbox)
            return handlers.answer(inbox, message, _language(received, message.shop, shops))
        case EnquiryRaised() as enquiry:
            language = _language(received, enquiry.shop, shops)
            return handlers.answer_enquiry(world.inbox(enquiry.conversation), enquiry, language)
        case FloorReturned() as returned:
            return handlers.hand_back(world.inbox(returned.conversation), returned)
        case MessageSent(message_id=message_id, wamid=wamid):
            world.tell(rows.Sent(UUID(message_id), wamid, Reached.SENT))
        case MessageFailed(message_id=message_id, wamid=wamid, said=said):
            world.tell(rows.Sent(UUID(message_id), wamid, Reached.FAILED, said))
    return None


def _language(received: Received, shop: str | None, shops: ShopDirectory) -> str:
    known = shops.by_id.get(shop or "")
    return received.language or (known.languages[0] if known is not None else "")


def _inbound(received: Received, message: MessageReceived) -> rows.Inbound:
    return rows.Inbound(
        UUID(received.id),
        message.conversation,
        received.offset,
        message.wamid,
        kind_of(message.content) if message.group_id is None else GROUP,
        text_of(message.content),
        message.at,
    )


async def _load_conversations(db: Connection, batch: Sequence[Received]) -> Conversations:
    keys = {getattr(received.event, "conversation", "") for received in batch}
    return Conversations(await rows.load_inboxes(db, keys))


async def _save_conversations(db: Connection, world: Conversations) -> None:
    if world.changed:
        await rows.save_inboxes(db, [world.inboxes[key] for key in sorted(world.changed)])
    if world.inbound:
        await rows.insert_inbound(db, world.inbound)
    if world.sent:
        await rows.save_sent(db, world.sent.values())


def _keep_delivery(world: Deliveries, received: Received) -> Sequence[Effect]:
    match received.event:
        case MessageRequested() as request:
            kind, text = shown(request.message)
            world.outgoing.append(
                rows.Outgoing(UUID(received.id), request.conversation, received.offset, kind, text, received.at)
            )
        case DeliveryChanged(phone_number_id=number, wamid=wamid, status=status, message_id=message_id):
            told, known = reached(status), world.deliveries.get((number, wamid))
            if told is not None and (known is None or known.reached < told):
                world.deliveries[number, wamid] = rows.Delivery(number, wamid, told, _own_id(message_id))
        case RecipientErased(conversations=conversations, at=at):
            # What others still make of the customer's last messages comes behind it.
            return [SetTimer(timer_key(one), SETTLE_SECONDS, ErasureDue(one, (), at)) for one in conversations]
        case ErasureDue() as due:
            return _forget(world, received, due)
    return ()


def _forget(world: Deliveries, received: Received, due: ErasureDue) -> Sequence[Effect]:
    """Not before all is read that was written until it had settled: that may be long after the conversation's home."""
    places = [(topic.name, received.partition) for topic in BY_NUMBER]
    if not all(world.progress.get(place, Progress()).passed(erasure.settled_at(due), received.at) for place in places):
        return (SetTimer(timer_key(due.conversation), LOOK_AGAIN_SECONDS, due),)
    world.due.append(due)
    world.homes.add(received.partition)
    return ()


def _own_id(message_id: str) -> UUID | None:
    """Our id of a message; None for one that somebody else sent."""
    try:
        return UUID(message_id)
    except ValueError:
        return None


async def _save_deliveries(db: Connection, world: Deliveries) -> None:
    if world.outgoing:
        await rows.insert_outgoing(db, world.outgoing)
    if world.deliveries:
        await rows.save_deliveries(db, world.deliveries.values())
    if world.due:
        await erasure.erase_outgoing(db, world.due)
        await forget(db, DELIVERIES, sorted(world.homes), world.due)
