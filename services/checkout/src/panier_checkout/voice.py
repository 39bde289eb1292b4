"""Checkout's words in one customer's language, with money and times as people of that language write them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from babel.dates import format_datetime
from panier_common import money, routing
from panier_common.contracts.outbound import BUTTON_TITLE_LIMIT, ReplyButton, clip
from panier_common.locales import locale_of

_UNITS = (("days", 86400), ("hours", 3600), ("minutes", 60))


class WordBook(Protocol):
    """Message catalogues by language, as `panier_common.words` loads them."""

    def __call__(self, language: str, key: str, **fields: object) -> str: ...

    def count(self, language: str, key: str, n: int, **fields: object) -> str: ...


@dataclass(frozen=True)
class Voice:
    words: WordBook
    language: str
    timezone: str

    def __call__(self, key: str, /, **fields: object) -> str:
        return self.words(self.language, key, **fields)

    def count(self, key: str, n: int, /, **fields: object) -> str:
        return self.words.count(self.language, key, n, **fields)

    def money(self, minor: int, currency: str) -> str:
        return money.show(minor, currency, self.language)

    def when(self, at: datetime) -> str:
        """A day and a time in the shop's own time zone."""
        zone, locale = ZoneInfo(self.timezone), locale_of(self.language)
        return format_datetime(at, "d MMM, HH:mm", tzinfo=zone, locale=locale)

    def span(self, seconds: float) -> str:
        """How long that is, never longer: in the largest unit of which there are two, so that little is rounded off."""
        unit, size = next(((unit, size) for unit, size in _UNITS if seconds >= 2 * size), ("seconds", 1))
        return self.count(unit, max(int(seconds / size), 1))

    def button(self, title: str, owner: str, verb: str, *arguments: str) -> ReplyButton:
        """A button whose title is the word `button.<title>`."""
        return ReplyButton(
            id=routing.reply_id(owner, verb, *arguments),
            title=clip(self(f"button.{title}"), BUTTON_TITLE_LIMIT),
        )

    def menu(self) -> ReplyButton:
        return self.button("menu", routing.CATALOG, "menu")

    def cart(self) -> ReplyButton:
        return self.button("cart", routing.CART, "show")

    def orders(self) -> ReplyButton:
        return self.button("orders", routing.CHECKOUT, "orders")

    def person(self) -> ReplyButton:
        return self.button("person", routing.CONSOLE, "person")
