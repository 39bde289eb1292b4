"""The console's two loops: whose records they want, what they load and save, and which handler decides."""

from collections.abc import Sequence
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
)
from panier_common.effects import Effect, Publish
from panier_common.event import OWNER, Headers, Received
from panier_common.postgres import Connection
from panier_common.routing import CONSOLE
from panier_common.shops import ShopDirectory
from panier_common.topics import COMMAND, DELIVERY, ENQUIRY, INBOUND, OUTBOUND, SENT

from panier_console import db as rows
from panier_console import handlers
from panier_console.handlers import Decision
from panier_console.inbox import Inbox
from panier_console.state import Reached, reached
from panier_console.text import GROUP, kind_of, shown, text_of

# People read the inbox: what comes is kept twenty times a second, out of the way of the services that answer.
GATHER_SECONDS = 0.05


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
    """The working set of a batch: only what is to be saved, since nothing known before matters."""

    outgoing: list[rows.Outgoing] = field(default_factory=list)
    deliveries: dict[tuple[str, str], rows.Delivery] = field(default_factory=dict)


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


def deliveries() -> Loop[Deliveries]:
    """Our messages and how far they came, as Meta tells: by a phone number's home."""
    return Loop(
        name="console.deliveries",
        topics=(OUTBOUND, DELIVERY),
        wants=lambda _, __: True,
        load=_load_deliveries,
        decide=_keep_delivery,
        save=_save_deliveries,
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


async def _load_deliveries(_: Connection, __: Sequence[Received]) -> Deliveries:
    return Deliveries()


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
