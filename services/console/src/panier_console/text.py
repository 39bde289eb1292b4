"""What a message says, in one text for people to read: of customers' messages and of ours. Pure."""

import msgspec
from panier_common.contracts import inbound as m

GROUP = "group"
"""The kind of what a customer said in a group chat: nobody here answers it."""


class Shown(msgspec.Struct):
    """The fields of a message of ours that hold words; `body` of a template is a list."""

    kind: str
    body: str | list[str] = ""
    header: str = ""
    caption: str = ""
    filename: str = ""
    emoji: str = ""
    name: str = ""
    sku: str = ""


_SHOWN = msgspec.json.Decoder(Shown)


def kind_of(content: m.Content) -> str:
    """The kind by its name on the wire; of media what it is: image, video, audio…"""
    if isinstance(content, m.Media):
        return content.media
    return str(content.__struct_config__.tag)


def text_of(content: m.Content) -> str:
    """The words of a customer's message; empty when it has none."""
    match content:
        case m.Text(body=body):
            return body
        case m.Reply(id=reply, title=title):
            return title or reply
        case m.Order(items=items, text=text):
            lines = (f"{item.quantity if item.quantity is not None else '?'} × {item.sku}" for item in items)
            return "\n".join(filter(None, [*lines, text]))
        case m.Location():
            return _place(content)
        case m.Form(response=response):
            return response
        case m.Media(caption=caption, filename=filename):
            return caption or filename
        case m.Reaction(emoji=emoji):
            return emoji
        case _:
            return ""


def _place(location: m.Location) -> str:
    named = ", ".join(filter(None, [location.name, location.address]))
    return named or f"{location.latitude:.6f}, {location.longitude:.6f}"


def shown(message: msgspec.Raw) -> tuple[str, str]:
    """(kind, text) of a message of ours. Raises msgspec.ValidationError when it is no message."""
    read = _SHOWN.decode(message)
    body = "\n".join(read.body) if isinstance(read.body, list) else read.body
    words = [read.header, body or read.caption or read.filename or read.emoji or read.name or read.sku]
    return read.kind, "\n".join(filter(None, words))
