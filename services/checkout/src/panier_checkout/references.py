"""Which rows the records of a batch are about, found out before anything is decided."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from panier_common import routing
from panier_common.contracts import events as e
from panier_common.contracts.events import Button
from panier_common.event import Received

from panier_checkout import dialogue as dialogues
from panier_checkout.dialogue import Dialogue
from panier_checkout.draft import order_id_of


@dataclass
class References:
    """Orders by id, orders by (conversation, number), and conversations whose last orders are wanted."""

    order_ids: set[str] = field(default_factory=set)
    numbers: set[tuple[str, str]] = field(default_factory=set)
    latest: set[str] = field(default_factory=set)

    def of_press(self, conversation: str, press: str, last_summary: str) -> None:
        reply = routing.parse_reply(press)
        if reply is None or reply.owner != routing.CHECKOUT:
            return
        match reply.verb:
            case "orders":
                self.latest.add(conversation)
            case "confirm":
                self.order_ids.add(order_id_of(reply.argument or last_summary))
            case "dismiss":
                self.order_ids.add(order_id_of(last_summary))
            case "order" | "pay" | "cancel" | "again":
                self.order_ids.add(reply.argument.strip().lower())
                self.numbers.add((conversation, reply.argument.strip().upper()))


def conversations(batch: Sequence[Received]) -> list[str]:
    """Every conversation of the batch, in one order for all, so that two batches lock alike."""
    found = {str(getattr(received.event, "conversation", "") or "") for received in batch}
    return sorted(found - {""})


def references(
    batch: Sequence[Received],
    dialogues_: Mapping[str, Dialogue],
    languages: Callable[[str], tuple[str, ...]],
) -> References:
    """What the batch, and what waits in its dialogues, could be about."""
    wanted = References()
    buttons = _buttons(batch, dialogues_)
    for received in (*batch, *_held(dialogues_.values())):
        match received.event:
            case e.MessageReceived(shop=str(shop), conversation=conversation) as message:
                dialogue = dialogues_.get(conversation)
                last = dialogue.last_summary if dialogue is not None else ""
                for shown in buttons.get(conversation, [()]):
                    press = dialogues.pressed(message, shown, languages(shop))
                    if press is not None:
                        wanted.of_press(conversation, press, last)
            case event:
                order_id = getattr(event, "order_id", None)
                if order_id is not None:
                    wanted.order_ids.add(str(order_id))
    return wanted


def _buttons(batch: Sequence[Received], dialogues_: Mapping[str, Dialogue]) -> Mapping[str, list[tuple[Button, ...]]]:
    """Every set of buttons that could be the last message's when one of the batch's texts is decided."""
    shown: defaultdict[str, list[tuple[Button, ...]]] = defaultdict(lambda: [()])
    for conversation, dialogue in dialogues_.items():
        shown[conversation].append(dialogue.buttons)
    for received in batch:
        if isinstance(received.event, e.MessageSent):
            shown[received.event.conversation].append(received.event.buttons)
    return shown


def _held(dialogues_: Iterable[Dialogue]) -> Iterable[Received]:
    return (held.received() for dialogue in dialogues_ for held in dialogue.held)
