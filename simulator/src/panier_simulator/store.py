"""All that the simulator remembers: customers, messages, webhooks on their way, media, payments. SQLite.

Each change is one small transaction in WAL mode: a few tens of microseconds, so it is made where it is
needed, and a simulator that is killed goes on where it stood. Every SQL statement of the package is here.
"""

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Json = dict[str, Any]
Direction = Literal["in", "out"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS customer (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, wa_id TEXT UNIQUE, user_id TEXT NOT NULL UNIQUE,
    created_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS message (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, wamid TEXT NOT NULL UNIQUE, number TEXT NOT NULL,
    customer TEXT NOT NULL, direction TEXT NOT NULL, at REAL NOT NULL, state TEXT NOT NULL,
    body TEXT NOT NULL, error TEXT
);
CREATE INDEX IF NOT EXISTS message_chat ON message (customer, number, seq);
CREATE INDEX IF NOT EXISTS message_unread ON message (customer, number, direction, seq)
    WHERE state NOT IN ('read', 'failed');
CREATE INDEX IF NOT EXISTS message_waiting ON message (state) WHERE direction = 'out' AND state = 'sent';
CREATE TABLE IF NOT EXISTS hook (
    id INTEGER PRIMARY KEY AUTOINCREMENT, target TEXT NOT NULL, lane TEXT NOT NULL, about TEXT NOT NULL,
    body BLOB NOT NULL, created_at REAL NOT NULL, due_at REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS media (
    id TEXT PRIMARY KEY, number TEXT NOT NULL, mime_type TEXT NOT NULL, content BLOB NOT NULL,
    at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS commerce (
    number TEXT PRIMARY KEY, cart INTEGER NOT NULL, catalog INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS payment (
    order_id TEXT PRIMARY KEY, state TEXT NOT NULL, minor INTEGER NOT NULL, currency TEXT NOT NULL,
    at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS feed (shop TEXT PRIMARY KEY, text TEXT NOT NULL);
"""


@dataclass(frozen=True)
class Customer:
    """A person with a phone; `wa_id` is None for one whose phone number stays hidden."""

    id: str
    name: str
    wa_id: str | None
    user_id: str


@dataclass(frozen=True)
class Message:
    """`in` goes from customer to shop (Meta's webhook message), `out` the other way (the Graph request)."""

    seq: int
    wamid: str
    number: str
    customer: str
    direction: Direction
    at: float
    state: str
    body: Json
    error: Json | None = None

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


class Store:
    """The state of one simulator, in one file of `folder`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(folder / "simulator.sqlite3", isolation_level=None, timeout=5)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def together(self) -> Iterator[None]:
        """All that the block writes, or none of it; may be used inside another."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _all(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return self._db.execute(sql, values).fetchall()

    def _one(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._db.execute(sql, values).fetchone()
        return row

    # Customers

    def add_customer(self, customer: Customer) -> bool:
        """False when the id, the phone number or the user id is taken."""
        sql = "INSERT OR IGNORE INTO customer VALUES (?, ?, ?, ?, ?)"
        values = (customer.id, customer.name, customer.wa_id, customer.user_id, time.time())
        return self._db.execute(sql, values).rowcount == 1

    def customers(self) -> list[Customer]:
        rows = self._all("SELECT id, name, wa_id, user_id FROM customer ORDER BY created_at, id")
        return [Customer(*row) for row in rows]

    def customer(self, any_id: str) -> Customer | None:
        """By the simulator's id, the WhatsApp id or the user id."""
        sql = "SELECT id, name, wa_id, user_id FROM customer WHERE id = ?1 OR wa_id = ?1 OR user_id = ?1"
        row = self._one(sql, any_id)
        return Customer(*row) if row else None

    # Messages

    def add_message(
        self, wamid: str, number: str, customer: str, direction: Direction, at: float, state: str, body: Json
    ) -> Message:
        sql = "INSERT INTO message (wamid, number, customer, direction, at, state, body) VALUES (?, ?, ?, ?, ?, ?, ?)"
        text = json.dumps(body)
        cursor = self._db.execute(sql, (wamid, number, customer, direction, at, state, text))
        return Message(cursor.lastrowid or 0, wamid, number, customer, direction, at, state, body)

    def chat(self, customer: str, number: str, after: int = 0, limit: int = 1000) -> list[Message]:
        sql = "SELECT * FROM message WHERE customer = ? AND number = ? AND seq > ? ORDER BY seq LIMIT ?"
        return [_message(row) for row in self._all(sql, customer, number, after, limit)]

    def latest(self, customer: str, number: str, direction: Direction, limit: int) -> list[Message]:
        """Newest first."""
        sql = "SELECT * FROM message WHERE customer = ? AND number = ? AND direction = ? ORDER BY seq DESC LIMIT ?"
        return [_message(row) for row in self._all(sql, customer, number, direction, limit)]

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
        self._db.execute(sql, (state, json.dumps(error) if error else None, wamid))

    def on_their_way(self) -> list[Message]:
        """Messages of shops that had not reached the phone when the simulator stopped."""
        sql = "SELECT * FROM message WHERE direction = 'out' AND state = 'sent' ORDER BY seq"
        return [_message(row) for row in self._all(sql)]

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

    # Webhooks on their way

    def add_hook(self, target: str, lane: str, about: str, body: bytes, created_at: float, due_at: float) -> Hook:
        sql = "INSERT INTO hook (target, lane, about, body, created_at, due_at) VALUES (?, ?, ?, ?, ?, ?)"
        cursor = self._db.execute(sql, (target, lane, about, body, created_at, due_at))
        return Hook(cursor.lastrowid or 0, target, lane, about, body, created_at, due_at)

    def hooks(self) -> Iterable[Hook]:
        sql = "SELECT id, target, lane, about, body, created_at, due_at, attempts FROM hook ORDER BY id"
        return [Hook(*row) for row in self._all(sql)]

    def postpone_hook(self, hook: Hook) -> None:
        sql = "UPDATE hook SET attempts = ?, due_at = ?, lane = ? WHERE id = ?"
        self._db.execute(sql, (hook.attempts, hook.due_at, hook.lane, hook.id))

    def remove_hook(self, hook_id: int) -> None:
        self._db.execute("DELETE FROM hook WHERE id = ?", (hook_id,))

    # Media, settings, payments, feeds

    def add_media(self, media_id: str, number: str, mime_type: str, content: bytes) -> None:
        sql = "INSERT INTO media VALUES (?, ?, ?, ?, ?)"
        self._db.execute(sql, (media_id, number, mime_type, content, time.time()))

    def media(self, media_id: str) -> tuple[str, bytes] | None:
        """Its type and content."""
        row = self._one("SELECT mime_type, content FROM media WHERE id = ?", media_id)
        return (row[0], row[1]) if row else None

    def remove_media(self, media_id: str) -> bool:
        return self._db.execute("DELETE FROM media WHERE id = ?", (media_id,)).rowcount == 1

    def commerce(self, number: str) -> tuple[bool, bool]:
        """Whether the cart is on and the catalogue is shown; Meta's defaults are yes and no."""
        row = self._one("SELECT cart, catalog FROM commerce WHERE number = ?", number)
        return (bool(row[0]), bool(row[1])) if row else (True, False)

    def set_commerce(self, number: str, cart: bool, catalog: bool) -> None:
        self._db.execute("INSERT OR REPLACE INTO commerce VALUES (?, ?, ?)", (number, cart, catalog))

    def payment(self, order_id: str) -> Json | None:
        row = self._one("SELECT state, minor, currency, at FROM payment WHERE order_id = ?", order_id)
        return dict(zip(("state", "minor", "currency", "at"), row, strict=True)) if row else None

    def set_payment(self, order_id: str, state: str, minor: int, currency: str) -> None:
        sql = "INSERT OR REPLACE INTO payment VALUES (?, ?, ?, ?, ?)"
        self._db.execute(sql, (order_id, state, minor, currency, time.time()))

    def feeds(self) -> list[tuple[str, str]]:
        """Catalogues that replaced those of the shops file."""
        return [(row[0], row[1]) for row in self._all("SELECT shop, text FROM feed")]

    def set_feed(self, shop: str, text: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO feed VALUES (?, ?)", (shop, text))


def _message(row: tuple[Any, ...]) -> Message:
    seq, wamid, number, customer, direction, at, state, body, error = row
    problem = json.loads(error) if error else None
    return Message(seq, wamid, number, customer, direction, at, state, json.loads(body), problem)
