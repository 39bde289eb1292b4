"""What a customer asks the catalogue for, read from a message or an enquiry. Pure."""

from dataclasses import dataclass
from typing import TypeAlias

from panier_common.contracts import inbound
from panier_common.contracts.events import EnquiryRaised, Event, MessageReceived
from panier_common.routing import CATALOG, folded, parse_reply, product_link, word_of

MAX_PAGE = 1000
# What people open a chat with besides the contract words, or end it; only asked after a search has found nothing.
GREETINGS = frozenset(
    {"bonjour", "bonsoir", "salut", "coucou", "hello", "hi", "hey", "good", "allo", "bjr", "slt", "greetings"}
)
THANKS = frozenset({"merci", "mercis", "mrc", "thanks", "thank", "thx", "ty"})


@dataclass(frozen=True, slots=True)
class Greeting:
    pass


@dataclass(frozen=True, slots=True)
class Help:
    pass


@dataclass(frozen=True, slots=True)
class Menu:
    """The list of collections."""

    page: int = 1


@dataclass(frozen=True, slots=True)
class Collection:
    name: str
    page: int = 1


@dataclass(frozen=True, slots=True)
class Product:
    """One product, by the shop's sku or by Meta's number of it in a link."""

    sku: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The whole catalogue: its link was shared."""


@dataclass(frozen=True, slots=True)
class Search:
    text: str


@dataclass(frozen=True, slots=True)
class Foreign:
    """A button that is not ours, or from a time when it meant something."""


Ask: TypeAlias = Greeting | Help | Menu | Collection | Product | Catalogue | Search | Foreign


def asked(event: Event) -> Ask | None:
    """What the event asks for; None when it is nothing that the catalogue answers."""
    match event:
        case EnquiryRaised(reply_id=str(reply)):
            return of_reply(reply)
        case EnquiryRaised(text=text):
            return of_text(text, None)
        case MessageReceived(content=inbound.Reply(id=reply)):
            return of_reply(reply)
        case MessageReceived(content=inbound.Text(body=body), context=context):
            return of_text(body, context)
        case MessageReceived(content=inbound.Unknown(type=inbound.WELCOME)):
            return Greeting()
        case _:
            return None


def of_reply(text: str) -> Ask:
    reply = parse_reply(text)
    if reply is None or reply.owner != CATALOG:
        return Foreign()
    match reply.verb, reply.arguments:
        case "menu", (*page,):
            return Menu(_page(page))
        case "collection", (name, *page) if name:
            return Collection(name, _page(page))
        case "product", (sku,) if sku:
            return Product(sku)
        case _:
            return Foreign()


def of_text(body: str, context: inbound.Context | None) -> Ask:
    """A word, a link, a question about a product, an ad's first words, or else a search."""
    if context is not None and context.product is not None:
        return Product(context.product.sku)
    word = word_of(body, ())
    if word is not None and word.owner == CATALOG:
        return Help() if word.asks == "help" else Greeting()
    link = product_link(body)
    if link is not None:
        return Product(link) if link else Catalogue()
    if context is not None and context.ad is not None:
        return Greeting()
    return Search(body)


def greets(text: str) -> bool:
    """Whether a text for which nothing was found is a greeting: `Bonjour madame`, `hey there`."""
    return not GREETINGS.isdisjoint(_few_words(text)[:1])


def thanks(text: str) -> bool:
    """Whether a text for which nothing was found says thank you: `Merci !`, `ok thanks`."""
    return not THANKS.isdisjoint(_few_words(text))


def _few_words(text: str) -> list[str]:
    """The words of a text of up to four; of a longer one none."""
    words = folded(text[:200]).split()
    return words if len(words) <= 4 else []


def _page(arguments: list[str]) -> int:
    """A page's number, 1 for whatever is none."""
    text = arguments[0] if arguments else ""
    return min(max(int(text), 1), MAX_PAGE) if text.isascii() and text.isdigit() and len(text) < 9 else 1
