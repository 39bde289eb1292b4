"""What commands print: one JSON document, or tables for people. Nothing that others wrote steers the terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any
from unicodedata import category

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

Show = Callable[[Any], Iterable["RenderableType"]]
"""Makes what people see out of a document."""

# Rows of a table for people: its columns are as wide as its widest cells, which have to be known.
AT_ONCE = 1000

# Characters that turn the direction of what follows them, which a line of a table must not do.
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def put(document: Any, as_json: bool, show: Show) -> None:
    """Print a command's document."""
    if as_json:
        json.dump(document, sys.stdout, ensure_ascii=False)
        print(flush=True)
        return
    console = console_for_people()
    for part in show(document):
        console.print(part)


def put_each(documents: Iterable[Any], as_json: bool, show: Show) -> None:
    """Print a list of any length, for people a table for every AT_ONCE of them; nothing before there is a first."""
    given = iter(documents)
    some = list(islice(given, AT_ONCE))
    if not as_json:
        while True:
            put(some, False, show)
            if not (some := list(islice(given, AT_ONCE))):
                return
    sys.stdout.write("[")
    for n, document in enumerate(chain(some, given)):
        sys.stdout.write(", " if n else "")
        json.dump(document, sys.stdout, ensure_ascii=False)
    print("]", flush=True)


def console_for_people(stderr: bool = False) -> Console:
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False, stderr=stderr)


def plain(text: object) -> str:
    """A text without control characters: a customer's words must not move the cursor or colour the screen."""
    return "".join("�" if (category(c) in ("Cc", "Cs") and c != "\n") or c in _TURNS else c for c in str(text))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> RenderableType:
    """A table; columns whose name begins with `#` hold figures, with `!` a word: neither is broken in two.

    What else does not fit the terminal goes on in the next line: nothing is cut off.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        made.add_column(
            column.lstrip("#!"),
            justify="right" if column.startswith("#") else "left",
            no_wrap=column.startswith(("#", "!")),
            overflow="fold",
        )
    for row in rows:
        made.add_row(*(Text("" if cell is None else plain(cell)) for cell in row))
    return made


def money(minor: int | None, currency: str) -> str:
    """An amount as people read it; nothing for none."""
    from panier_common.money import digits

    if minor is None:
        return ""
    decimals = digits(currency) if currency else 2
    sign, whole = "-" if minor < 0 else "", abs(minor)
    if not decimals:
        return f"{sign}{whole} {currency}"
    return f"{sign}{whole // 10**decimals}.{whole % 10**decimals:0{decimals}d} {currency}"


def at(time: str | None) -> str:
    """A document's time without its fractions."""
    return (time or "").partition(".")[0].removesuffix("Z").removesuffix("+00:00").replace("T", " ")
