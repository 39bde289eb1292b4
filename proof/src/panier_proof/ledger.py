"""What the customers did and saw: the ledger. It knows nothing of the shop's tables and topics.

An action counts once the shop's door has taken its webhook (`acknowledged`). Messages are those that reached
the simulated phones. Pure data and what can be read off it.
"""

import re
from typing import Any
from urllib.parse import urlsplit

import msgspec

Json = dict[str, Any]
_LINE = re.compile(r"^(\d+) × (.+?)\s*[:—]", re.M)


class Reply(msgspec.Struct, frozen=True):
    """A button or a row on the phone, and how pressing it is told."""

    id: str
    title: str
    kind: str


class Seen(msgspec.Struct, frozen=True):
    """A message on the phone, `seq` in the order of arrival."""

    seq: int
    wamid: str
    at: float
    kind: str
    text: str
    replies: tuple[Reply, ...] = ()
    link: str = ""

    def reply(self, prefix: str) -> Reply | None:
        return next((reply for reply in self.replies if reply.id.startswith(prefix)), None)

    @property
    def lines(self) -> dict[str, int]:
        """Title → quantity, of the lines that the message says."""
        found: dict[str, int] = {}
        for quantity, title in _LINE.findall(self.text):
            found[title] = found.get(title, 0) + int(quantity)
        return found

    @property
    def order_id(self) -> str:
        """The order that the link to pay is for."""
        return urlsplit(self.link).path.rpartition("/")[2] if self.link else ""

    @property
    def receipt_for(self) -> str:
        """The order that this is the receipt for: its lines stand there, and the way to it."""
        way = self.reply("checkout:order:") if self.lines else None
        return way.id.rpartition(":")[2] if way is not None else ""

    @property
    def last_minor(self) -> int | None:
        """The amount in the last line, in the currency's smallest unit, however it is written."""
        digits = re.sub(r"\D", "", self.text.rpartition("\n")[2])
        return int(digits) if digits else None

    @property
    def asked_minor(self) -> int | None:
        """The amount that stands before it."""
        asked = urlsplit(self.link).path.split("/")[-2:-1]
        return int(asked[0]) if asked and asked[0].isdigit() else None


class Act(msgspec.Struct):
    """One message of the customer's, as simple JSON: text, cart, press, location or product_question."""

    wamid: str
    at: float
    action: Json
    acknowledged: bool = False

    @property
    def press(self) -> str:
        return str(self.action.get("press", ""))


class Confirmation(msgspec.Struct):
    """A summary that the customer confirmed: how to get it, where, and the presses.

    `order_id` is that of the link to pay which followed; empty when none did, or was not waited for.
    """

    draft: str
    way: str
    address: str
    lines: dict[str, int]
    wamids: list[str]
    order_id: str = ""


class Payment(msgspec.Struct, frozen=True):
    """One notification of the provider's, however often it was told."""

    order_id: str
    notification: str
    state: str
    minor: int


class Customer(msgspec.Struct):
    """One customer's page. `story` is what it was like, for people."""

    name: str
    id: str
    user_id: str
    wa_id: str | None
    conversation: str
    acts: list[Act] = []
    seen: list[Seen] = []
    confirmations: list[Confirmation] = []
    payments: list[Payment] = []
    gave_up: str = ""

    @property
    def number(self) -> str:
        """The number of the shop's that this customer writes to."""
        return self.conversation.partition(":")[0]


class Command(msgspec.Struct):
    """What people of the shop asked of an order, several times under one key; `taken` once all were told "done"."""

    order_id: str
    state: str
    key: str
    taken: bool = False


class Planted(msgspec.Struct, frozen=True):
    """A record that nobody can digest, put on a topic by us."""

    topic: str
    partition: int
    offset: int
    what: str


class Ledger(msgspec.Struct):
    """All pages, what was planted, and what the people of the shop asked."""

    seed: int
    customers: list[Customer] = []
    planted: list[Planted] = []
    commands: list[Command] = []


def seen(document: Json) -> Seen:
    """A message of the simulator's chat as the customer sees it."""
    body = document["body"]
    interactive = body.get("interactive") or {}
    action = interactive.get("action") or {}
    replies = [Reply(b["reply"]["id"], b["reply"]["title"], "button_reply") for b in action.get("buttons", [])]
    for section in action.get("sections", []):
        replies += [Reply(row["id"], row["title"], "list_reply") for row in section.get("rows", [])]
    text = (interactive.get("body") or {}).get("text") or (body.get("text") or {}).get("body") or ""
    link = action["parameters"]["url"] if action.get("name") == "cta_url" else ""
    return Seen(document["seq"], document["wamid"], document["at"], document["kind"], text, tuple(replies), link)


def story(customer: Customer) -> list[str]:
    """What the customer did and saw, in order, for people."""
    acts = [
        (act.at, 0, f"→ {act.action}{'' if act.acknowledged else ' (never acknowledged)'}") for act in customer.acts
    ]
    messages = [(message.at, 1, f"← {_told(message)}") for message in customer.seen]
    return [f"{line}" for _, _, line in sorted(acts + messages)]


def _told(message: Seen) -> str:
    shown = " ".join(message.text.split())[:160] or f"({message.kind})"
    ways = " ".join(f"[{reply.id}]" for reply in message.replies[:4])
    return " ".join(part for part in (shown, ways, message.link) if part)
