"""What a message says, for people without a phone: lines of text out of Meta's JSON, both directions. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from panier_cli.output import plain

if TYPE_CHECKING:
    from rich.console import RenderableType

Json = Mapping[str, Any]
Titles = Mapping[str, str]
"""What products are called, by sku, with their prices."""


def lines(body: Json, titles: Titles) -> list[str]:
    """The message as lines, buttons and products below its words."""
    match body.get("type", "text"):
        case "text":
            return str(body["text"]["body"]).split("\n")
        case "interactive":
            return _interactive(body["interactive"], titles)
        case "order":
            items = body["order"]["product_items"]
            cart = [f"{item['quantity']} × {_title(item['product_retailer_id'], titles)}" for item in items]
            return ["(sends a cart)", *cart, *filter(None, [body["order"].get("text")])]
        case "button":
            return [f"(presses “{body['button'].get('text', '')}”)"]
        case "template":
            return [f"[template {body['template'].get('name', '')}]"]
        case "location":
            return ["(shares a place)", str(body["location"].get("name", ""))]
        case kind:
            return [f"[{kind}]"]


def _interactive(content: Json, titles: Titles) -> list[str]:
    for reply in ("button_reply", "list_reply"):
        if reply in content:
            return [f"(presses “{content[reply]['title']}”)"]
    words = [str(content[part].get("text", "")) for part in ("header", "body", "footer") if part in content]
    said = [line for text in words if text for line in text.split("\n")]
    return [*said, *_choices(content.get("action", {}), titles)]


def _choices(action: Json, titles: Titles) -> list[str]:
    """What the customer can press or look at."""
    found = [f"[ {button['reply']['title']} ]" for button in action.get("buttons", [])]
    for section in action.get("sections", []):
        found += [f"‹{section['title']}›"] if section.get("title") else []
        found += [f"• {row['title']}{_described(row)}" for row in section.get("rows", [])]
        found += [f"▪ {_title(item['product_retailer_id'], titles)}" for item in section.get("product_items", [])]
    if sku := action.get("product_retailer_id"):
        found.append(f"▪ {_title(sku, titles)}")
    if action.get("name") == "catalog_message":
        found.append("[ catalogue ]")
    if link := action.get("parameters", {}).get("url"):
        found.append(f"[ {action['parameters'].get('display_text', '')} ] {link}")
    return found


def _described(row: Json) -> str:
    return f" — {row['description']}" if row.get("description") else ""


def _title(sku: str, titles: Titles) -> str:
    return titles.get(sku, sku)


def pressable(body: Json) -> list[str]:
    """The ids of the buttons and rows of a message of the shop's."""
    action = body.get("interactive", {}).get("action", {})
    buttons = [button["reply"]["id"] for button in action.get("buttons", [])]
    return buttons + [row["id"] for section in action.get("sections", []) for row in section.get("rows", [])]


def link(body: Json) -> str | None:
    """The address behind a link button."""
    found = body.get("interactive", {}).get("action", {}).get("parameters", {}).get("url")
    return str(found) if found else None


def bubble(is_customer: bool, words: Iterable[str]) -> RenderableType:
    """A message as a bubble: the customer's on the right, the shop's on the left."""
    from rich.align import Align
    from rich.panel import Panel
    from rich.text import Text

    text = Text(plain("\n".join(words)))
    panel = Panel(text, expand=False, width=None, border_style="green" if is_customer else "cyan", padding=(0, 1))
    return Align.right(panel) if is_customer else Align.left(panel)
