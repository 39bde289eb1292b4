"""Who answers a message, and what a button's id means: pure functions that every service agrees on.

Reply ids are a promise to customers: `<owner>:<verb>[:<argument>…]`, arguments percent-encoded, at most 200
characters. They are built and read here and nowhere else.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, unquote

from panier_common.contracts import inbound as m
from panier_common.contracts.inbound import Content, Context

CATALOG, CART, CHECKOUT, CONSOLE, SENDER = "catalog", "cart", "checkout", "console", "sender"
OWNERS = frozenset({CATALOG, CART, CHECKOUT, CONSOLE})
REPLY_ID_LIMIT = 200

# language → word → (what it asks for, who answers)
WORDS: dict[str, dict[str, tuple[str, str]]] = {
    "fr": {
        "bonjour": ("menu", CATALOG),
        "menu": ("menu", CATALOG),
        "panier": ("cart", CART),
        "commandes": ("orders", CHECKOUT),
        "aide": ("help", CATALOG),
        "conseiller": ("person", CONSOLE),
        "stop": ("stop", SENDER),
    },
    "en": {
        "hello": ("menu", CATALOG),
        "menu": ("menu", CATALOG),
        "cart": ("cart", CART),
        "orders": ("orders", CHECKOUT),
        "help": ("help", CATALOG),
        "person": ("person", CONSOLE),
        "stop": ("stop", SENDER),
    },
}

_LINK = re.compile(r"https?://wa\.me/(?:p/(?P<product>\d+)/\d+|c/\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Reply:
    """A parsed reply id: `verb` and its decoded arguments, for the service `owner`."""

    owner: str
    verb: str
    arguments: tuple[str, ...] = ()

    @property
    def argument(self) -> str:
        """The first argument, empty when there is none."""
        return self.arguments[0] if self.arguments else ""


@dataclass(frozen=True)
class Word:
    """A contract word: what it asks for, who answers, and the language it belongs to, if to one only."""

    asks: str
    owner: str
    language: str | None


def reply_id(owner: str, verb: str, *arguments: str) -> str:
    """Build a reply id. Raises ValueError when it would be longer than WhatsApp allows."""
    built = ":".join([owner, verb, *(quote(a, safe="") for a in arguments)])
    if len(built) > REPLY_ID_LIMIT:
        raise ValueError(f"a reply id of {len(built)} characters; {REPLY_ID_LIMIT} are allowed")
    return built


@lru_cache(maxsize=4096)
def parse_reply(text: str) -> Reply | None:
    """Read a reply id; None when it is not one of ours."""
    owner, _, rest = text.partition(":")
    if owner not in OWNERS or not rest:
        return None
    verb, *arguments = rest.split(":")
    # A pressed id may have been made up: "%00" must not become what PostgreSQL refuses in a text.
    return Reply(owner, verb, tuple(unquote(a).replace("\x00", "\ufffd") for a in arguments))


def folded(text: str) -> str:
    """The text without case, accents, punctuation and emoji, its words one space apart."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    kept = (c if c.isalnum() else " " if not unicodedata.combining(c) else "" for c in plain)
    return " ".join("".join(kept).split())


def word_of(text: str, languages: tuple[str, ...]) -> Word | None:
    """The contract word that is the whole text, among the shop's languages; None when it is none.

    Every word of every language works everywhere. `language` is set when only one language has the word: to the
    shop's first tag of it, which may name a region (`fr-FR`). The shop's own languages win over others.
    """
    plain = folded(text) if len(text) <= 40 else ""
    if not plain:
        return None
    having = [language for language in WORDS if plain in WORDS[language]]
    if not having:
        return None
    ours = [tag for tag in languages if _base(tag) in having]
    asks, owner = WORDS[_base((ours or having)[0])][plain]
    return Word(asks, owner, ours[0] if ours and len(having) == 1 else None)


def _base(tag: str) -> str:
    return tag.partition("-")[0]


def product_link(text: str) -> str | None:
    """Meta's numeric product id in a `wa.me/p` link, empty for a catalogue link, None when there is no link."""
    match = _LINK.search(text) if "://" in text else None
    return None if match is None else match["product"] or ""


def owner_of(content: Content, context: Context | None, languages: tuple[str, ...]) -> str:
    """The service that answers this message (DESIGN, section 3)."""
    return owner_and_language(content, context, languages)[0]


def owner_and_language(content: Content, context: Context | None, languages: tuple[str, ...]) -> tuple[str, str | None]:
    """Who answers, and the language when the whole text is a word of one of the shop's languages only."""
    match content:
        case m.Text(body=body):
            word = word_of(body, languages)
            return _owner_of_text(body, word, context), word.language if word is not None else None
        case m.Order():
            return CART, None
        case m.Reply(id=reply):
            return _owner_of_reply(reply), None
        case m.Location() | m.Form():
            return CHECKOUT, None
        case m.Unknown(type=m.WELCOME):
            return CATALOG, None
        case _:
            return CONSOLE, None


def _owner_of_reply(reply: str) -> str:
    parsed = parse_reply(reply)
    if parsed is None:
        return CATALOG  # foreign or from another time: a friendly answer and the menu
    if parsed.owner == CHECKOUT and parsed.verb == "start":
        return CART
    return parsed.owner


def _owner_of_text(body: str, word: Word | None, context: Context | None) -> str:
    if context is not None and (context.product is not None or context.ad is not None):
        return CATALOG
    if word is not None:
        return word.owner
    return CATALOG if product_link(body) is not None else CHECKOUT
