"""What Meta keeps about a business: files, templates, settings of numbers, feeds, payments. SQL, as methods."""

import json
from typing import Any

from panier_simulator.database import Database

Json = dict[str, Any]


class BusinessStore(Database):
    """Times are the simulator's own, in seconds since 1970."""

    # Files

    def add_media(
        self, media_id: str, number: str, mime_type: str, content: bytes, at: float, inbound: bool = False
    ) -> None:
        sql = "INSERT INTO media (id, number, mime_type, content, at, inbound) VALUES (?, ?, ?, ?, ?, ?)"
        self._write(sql, media_id, number, mime_type, content, at, inbound)

    def media(self, media_id: str) -> tuple[str, bytes, float, bool] | None:
        """Its type, content, when it came, and whether a customer sent it."""
        row = self._one("SELECT mime_type, content, at, inbound FROM media WHERE id = ?", media_id)
        return (row[0], row[1], row[2], bool(row[3])) if row else None

    def media_type(self, media_id: str) -> tuple[str, float, bool] | None:
        """The same without the content."""
        row = self._one("SELECT mime_type, at, inbound FROM media WHERE id = ?", media_id)
        return (row[0], row[1], bool(row[2])) if row else None

    def remove_media(self, media_id: str) -> bool:
        return self._write("DELETE FROM media WHERE id = ?", media_id).rowcount == 1

    # Numbers

    def commerce(self, number: str) -> tuple[bool, bool]:
        """Whether the cart is on and the catalogue is shown; Meta's defaults are yes and no."""
        row = self._one("SELECT cart, catalog FROM commerce WHERE number = ?", number)
        return (bool(row[0]), bool(row[1])) if row else (True, False)

    def set_commerce(self, number: str, cart: bool, catalog: bool) -> None:
        self._write("INSERT OR REPLACE INTO commerce VALUES (?, ?, ?)", number, cart, catalog)

    def number_states(self) -> dict[str, Json]:
        return {row[0]: json.loads(row[1]) for row in self._all("SELECT number, state FROM number_state")}

    def set_number_state(self, number: str, state: Json) -> None:
        self._write("INSERT OR REPLACE INTO number_state VALUES (?, ?)", number, json.dumps(state))

    # Templates

    def templates(self) -> list[tuple[str, Json]]:
        """Each with its account, oldest first."""
        sql = "SELECT account, document FROM template ORDER BY rowid"
        return [(row[0], json.loads(row[1])) for row in self._all(sql)]

    def set_template(self, account: str, document: Json) -> None:
        sql = (
            "INSERT INTO template (id, account, name, language, document) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET document = excluded.document"
        )
        key = (document["id"], account, document["name"], document["language"])
        self._write(sql, *key, json.dumps(document))

    def remove_template(self, template_id: str) -> None:
        self._write("DELETE FROM template WHERE id = ?", template_id)

    # Payments, feeds, and what the simulator itself was told

    def payment(self, order_id: str) -> Json | None:
        row = self._one("SELECT state, minor, currency, at FROM payment WHERE order_id = ?", order_id)
        return dict(zip(("state", "minor", "currency", "at"), row, strict=True)) if row else None

    def set_payment(self, order_id: str, state: str, minor: int, currency: str, at: float) -> None:
        sql = "INSERT OR REPLACE INTO payment VALUES (?, ?, ?, ?, ?)"
        self._write(sql, order_id, state, minor, currency, at)

    def feeds(self) -> list[tuple[str, str]]:
        """Catalogues that replaced those of the shops file."""
        return [(row[0], row[1]) for row in self._all("SELECT shop, text FROM feed")]

    def set_feed(self, shop: str, text: str) -> None:
        self._write("INSERT OR REPLACE INTO feed VALUES (?, ?)", shop, text)

    def kept(self, name: str) -> Any:
        """A JSON value kept under that name; None without one."""
        row = self._one("SELECT value FROM kept WHERE name = ?", name)
        return json.loads(row[0]) if row else None

    def keep(self, name: str, value: Any) -> None:
        self._write("INSERT OR REPLACE INTO kept VALUES (?, ?)", name, json.dumps(value))
