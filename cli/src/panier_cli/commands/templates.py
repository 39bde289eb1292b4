"""`panier templates`: message templates at Meta, listed and kept in step with a file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from panier_cli.commands import AsJson
from panier_cli.errors import FAILED
from panier_cli.output import put, table

templates = typer.Typer(help="Message templates at Meta.", no_args_is_help=True)

Shop = Annotated[str, typer.Option("--shop", help="The shop's id in the shops file.", show_default=False)]
File = Annotated[Path, typer.Argument(metavar="FILE", help="The templates file (TOML).", show_default=False)]


@templates.command("list")
def list_templates(shop: Shop, as_json: AsJson = False) -> None:
    """List the templates that Meta has of a shop's business account."""
    from panier_cli import templates as meta

    file = _shops_file()
    found = meta.account_of(meta.shop_of(shop, file), file, os.environ).listed()
    columns = ("id", "name", "language", "status", "category", "rejected_reason")
    put([{name: one.get(name) for name in columns} for one in found], as_json, _listed)


@templates.command()
def apply(file: File, shop: Shop, as_json: AsJson = False) -> None:
    """Create and change templates at Meta as a file has them; exit 1 when one was refused."""
    from panier_cli import templates as meta

    wanted, shops_file = meta.read(file), _shops_file()
    speaker = meta.shop_of(shop, shops_file)
    done = meta.apply(meta.account_of(speaker, shops_file, os.environ), wanted)
    done["lacking"] = meta.lacking(speaker, wanted)
    put(done, as_json, _applied)
    if done["refused"]:
        raise typer.Exit(FAILED)


def _shops_file() -> Path:
    from panier_cli.stack.local import shops_file

    return shops_file(os.environ)


def _listed(found: list[dict[str, Any]]) -> Iterable[Any]:
    columns = ("name", "language", "status", "category", "rejected_reason")
    yield table(("name", "language", "status", "category", "why"), ([one[name] for name in columns] for one in found))


def _applied(done: dict[str, Any]) -> Iterable[Any]:
    for what in ("created", "updated", "unchanged"):
        for one in done[what]:
            status = f" ({one['status']})" if one.get("status") else ""
            yield f"{one['name']} {one['language']}: {what}{status}"
    for one in done["lacking"]:
        yield f"{one['name']} {one['language']}: the shop speaks this language, and the file does not have it"
    if done["refused"]:
        yield table(
            ("name", "language", "why"), ((one["name"], one["language"], one["reason"]) for one in done["refused"])
        )
