"""All that the simulator remembers of conversations: customers, messages, refusals, webhooks on their way.

With `business_store.py` these are all SQL statements of the package; when they are committed, `database.py` says.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from panier_simulator.business_store import BusinessStore

Json = dict[str, Any]
Direction = Literal["in", "out"]
ORDER_KINDS = ("order_details", "order_status")


@dataclass(frozen=True)
class Customer:
    """A person with a phone; `wa_id` is None for one whose phone number stays hidden."""

    id: str
    name: str
    wa_id: str | None
    user_id: str


@dataclass(frozen=True)
class Message:
    """`in` goes from customer to shop (Meta's webhook message), `out` the other way (the Graph request).

    `fault_key` names it to the faults that its statuses may meet. `waited` is for how long, in seconds, its request
    had been here when it was read.
    """

    seq: int
    wamid: str
    number: str
    customer: str
    direction: Direction
    at: float
    state: str
    body: Json
    error: Json | None = None
    fault_key: str = ""
    waited: float = 0.0

    @property
    def kind(self) -> str:
        kind = str(self.body.get("type", "text"))
        if kind == "interactive":
            return str(self.body["interactive"].get("type", kind))
        return kind

    def document(self) -> Json:
        return {
            "seq": self.seq,
            "wamid": self.wamid,
            "number": self.number,
            "customer": self.customer,
            "direction": self.direction,
            "kind": self.kind,
            "at": self.at,
            "state": self.state,
            "body": self.body,
            "error": self.error,
        }


@dataclass
class Hook:
    """One request on its way to the shop's door: `target` says which door, `about` what it tells of."""

    id: int
    target: str
    lane: str
    about: str
    body: bytes
    created_at: float
    due_at: float
    attempts: int = 0


class Store(BusinessStore):
    """The state of one simulator, in one file of `folder`. Customers are held in memory as well."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._customers: dict[str, Customer] = {}
        for row in self._all("SELECT id, name, wa_id, user_id FROM customer ORDER BY created_at, id"):
            self._know(Customer(*row))
        states = self._all("SELECT customer, state FROM customer_state")
        self._last_from: dict[tuple[str, str], float | None] = {}
        self._customer_states: dict[str, Json] = {row[0]: json.loads(row[1]) for row in states}

    # Customers

    def add_customer(self, customer: Customer, at: float) -> bool:
        """False when the id, the phone number or the user id is taken."""
        sql = "INSERT OR IGNORE INTO customer VALUES (?, ?, ?, ?, ?)"
        values = (customer.id, customer.name, customer.wa_id, customer.user_id, at)
        added = self._write(sql, *values).rowcount == 1
        if added:
            self._know(customer)
        return added

    def change_customer(self, customer: Customer) -> bool:
        """Take the new ids of a customer; false when one of them is somebody else's."""
        for any_id in (customer.wa_id, customer.user_id):
            if any_id and (other := self._customers.get(any_id)) and other.id != customer.id:
                return False
        before = self._customers[customer.id]
        self._write(
            "UPDATE customer SET wa_id = ?, user_id = ? WHERE id = ?", customer.wa_id, customer.user_id, customer.id
        )
        for any_id in (before.wa_id, before.user_id):
            if any_id:
                del self._customers[any_id]
        self._know(customer)
        return True

    def numbers_of(self, customer: str) -> list[str]:
        """The numbers that a customer has written to or heard from."""
        return [row[0] for row in self._all("SELECT DISTINCT number FROM message WHERE customer = ?", customer)]

    def customers(self) -> list[Customer]:
        """In the order in which they came."""
        return [customer for any_id, customer in self._customers.items() if any_id == customer.id]

    def customer(self, any_id: str) -> Customer | None:
        """By the simulator's id, the WhatsApp id or the user id."""
        return self._customers.get(any_id)

    def customer_state(self, customer_id: str) -> Json:
        """What stands against messages to this customer; empty when nothing does."""
        return self._customer_states.get(customer_id, {})

    def set_customer_state(self, customer_id: str, state: Json) -> None:
        self._write("INSERT OR REPLACE INTO customer_state VALUES (?, ?)", customer_id, json.dumps(state))
        self._customer_states[customer_id] = state

    def _know(self, customer: Customer) -> None:
        for any_id in (customer.id, customer.wa_id, customer.user_id):
            if any_id:
                self._customers[any_id] = customer

    # Messages

    def add_message(
        self,
        wamid: str,
        number: str,
        customer: str,
        direction: Direction,
        at: float,
        state: str,
        body: Json,
        error: Json | None = None,
        fault_key: str = "",
        waited: float = 0.0,
    ) -> Message:
        sql = (
            "INSERT INTO message (wamid, number, customer, direction, at, state, body, error, fault_key, waited)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        )
        problem = json.dumps(error) if error else None
        values = (wamid, number, customer, direction, at, state, json.dumps(body), problem, fault_key, waited)
        seq = self._write(sql, *values).lastrowid or 0
        message = Message(seq, wamid, number, customer, direction, at, state, body, error, fault_key, waited)
        if direction == "in":
            self._last_from[customer, number] = at
        elif message.kind in ORDER_KINDS:
            reference = body["interactive"]["action"]["parameters"]["reference_id"]
            self._write("INSERT INTO order_message VALUES (?, ?, ?)", number, reference, seq)
        return message

    def chat(self, customer: str, number: str, after: int = 0, limit: int = 1000) -> list[Message]:
        sql = "SELECT * FROM message WHERE customer = ? AND number = ? AND seq > ? ORDER BY seq LIMIT ?"
        return [_message(row) for row in self._all(sql, customer, number, after, limit)]

    def latest(self, customer: str, number: str, direction: Direction, limit: int) -> list[Message]:
        """Newest first."""
        sql = "SELECT * FROM message WHERE customer = ? AND number = ? AND direction = ? ORDER BY seq DESC LIMIT ?"
        return [_message(row) for row in self._all(sql, customer, number, direction, limit)]

    def last_from_customer(self, customer: str, number: str) -> float | None:
        """When this customer last wrote to this number."""
        if (customer, number) not in self._last_from:
            sql = "SELECT max(at) FROM message WHERE customer = ? AND number = ? AND direction = 'in'"
            row = self._one(sql, customer, number)
            self._last_from[customer, number] = row[0] if row else None
        return self._last_from[customer, number]

    def unread(self, customer: str, number: str, direction: Direction, up_to: int | None) -> list[Message]:
        """Oldest first, as far as the message `up_to` or all of them."""
        sql = (
            "SELECT * FROM message WHERE customer = ? AND number = ? AND direction = ?"
            " AND state NOT IN ('read', 'failed') AND seq <= ? ORDER BY seq"
        )
        most = 2**62 if up_to is None else up_to
        return [_message(row) for row in self._all(sql, customer, number, direction, most)]

    def message(self, wamid: str) -> Message | None:
        row = self._one("SELECT * FROM message WHERE wamid = ?", wamid)
        return _message(row) if row else None

    def set_state(self, wamid: str, state: str, error: Json | None = None) -> None:
        sql = "UPDATE message SET state = ?, error = ? WHERE wamid = ?"
        self._write(sql, state, json.dumps(error) if error else None, wamid)

    def move_on(self, message: Message, state: str, error: Json | None = None) -> bool:
        """From the state that the message has here to another; False when it is not in that state any more."""
        sql = "UPDATE message SET state = ?, error = ? WHERE wamid = ? AND state = ?"
        problem = json.dumps(error) if error else None
        return self._write(sql, state, problem, message.wamid, message.state).rowcount == 1

    def note_told(self, wamid: str, at: float) -> None:
        """When the shop's door first took a status of its message."""
        self._write("UPDATE message SET told_at = ? WHERE wamid = ? AND told_at IS NULL", at, wamid)

    def on_their_way(self) -> list[Message]:
        """Messages of shops that had not reached the phone when the simulator stopped."""
        sql = "SELECT * FROM message WHERE direction = 'out' AND state = 'sent' ORDER BY seq"
        return [_message(row) for row in self._all(sql)]

    def accepted(self, number: str | None, after: int, limit: int) -> list[Json]:
        """What shops sent, in the order in which it was accepted, without contents."""
        sql = (
            "SELECT seq, wamid, number, customer, at, state, json_extract(body, '$.biz_opaque_callback_data'),"
            " json_extract(error, '$.code'), waited, told_at FROM message"
            " WHERE direction = 'out' AND seq > ?1 AND (?2 IS NULL OR number = ?2) ORDER BY seq LIMIT ?3"
        )
        names = ("seq", "wamid", "number", "customer", "at", "state", "callback", "code", "waited", "told_at")
        return [dict(zip(names, row, strict=True)) for row in self._all(sql, after, number, limit)]

    def newest_link_with(self, text: str) -> str | None:
        """The newest link button whose address carries `text`."""
        escaped = json.dumps(text)[1:-1]
        sql = (
            "SELECT * FROM message WHERE direction = 'out' AND instr(body, 'cta_url') > 0"
            " AND instr(body, ?) > 0 ORDER BY seq DESC LIMIT 20"
        )
        for row in self._all(sql, escaped):
            action = _message(row).body.get("interactive", {}).get("action", {})
            url = action.get("parameters", {}).get("url", "")
            if text in url:
                return str(url)
        return None

    def order_messages(self, number: str, reference: str) -> list[Message]:
        """Messages about an order paid in the chat, oldest first."""
        sql = (
            "SELECT message.* FROM order_message JOIN message ON message.seq = order_message.message"
            " WHERE order_message.number = ? AND reference = ? AND state != 'failed' ORDER BY seq"
        )
        return [_message(row) for row in self._all(sql, number, reference)]

    # Refusals

    def add_refusal(
        self, at: float, number: str, recipient: str, callback: str | None, code: int, details: str, injected: bool
    ) -> None:
        sql = (
            "INSERT INTO refusal (at, number, recipient, callback, code, details, injected)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)"
        )
        self._write(sql, at, number, recipient, callback, code, details, injected)

    def refusals(self, number: str | None, after: int, limit: int) -> list[Json]:
        """Messages that were refused, oldest first."""
        sql = "SELECT * FROM refusal WHERE seq > ?1 AND (?2 IS NULL OR number = ?2) ORDER BY seq LIMIT ?3"
        names = ("seq", "at", "number", "recipient", "callback", "code", "details", "injected")
        rows = self._all(sql, after, number, limit)
        return [{**dict(zip(names, row, strict=True)), "injected": bool(row[-1])} for row in rows]

    # Webhooks on their way

    def add_hook(self, target: str, lane: str, about: str, body: bytes, created_at: float, due_at: float) -> Hook:
        sql = "INSERT INTO hook (target, lane, about, body, created_at, due_at) VALUES (?, ?, ?, ?, ?, ?)"
        seq = self._write(sql, target, lane, about, body, created_at, due_at).lastrowid or 0
        return Hook(seq, target, lane, about, body, created_at, due_at)

    def hooks(self) -> Iterable[Hook]:
        sql = "SELECT id, target, lane, about, body, created_at, due_at, attempts FROM hook ORDER BY id"
        return [Hook(*row) for row in self._all(sql)]

    def postpone_hook(self, hook: Hook) -> None:
        sql = "UPDATE hook SET attempts = ?, due_at = ?, lane = ? WHERE id = ?"
        self._write(sql, hook.attempts, hook.due_at, hook.lane, hook.id)

    def remove_hook(self, hook_id: int) -> None:
        self._write("DELETE FROM hook WHERE id = ?", hook_id)


def _message(row: tuple[Any, ...]) -> Message:
    seq, wamid, number, customer, direction, at, state, body, error, fault_key, waited, _ = row
    problem = json.loads(error) if error else None
    return Message(seq, wamid, number, customer, direction, at, state, json.loads(body), problem, fault_key, waited)
