"""`panier shop`: the shops file, checked and applied."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from panier_cli.commands import AsJson
from panier_cli.errors import FAILED, Refused
from panier_cli.internal_api import internal_api, path
from panier_cli.output import put, table

shop = typer.Typer(help="Shops and their settings.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(metavar="FILE", help="The shops file (TOML).", show_default=False)]


@shop.command()
def apply(file: File, as_json: AsJson = False) -> None:
    """Apply a shops file: adds and changes shops, and loads catalogues that were never loaded."""
    put(internal_api().send("catalog", "PUT", path("shops"), _document(file)), as_json, _applied)


@shop.command("list")
def list_shops(as_json: AsJson = False) -> None:
    """List the shops that the services know."""
    put(internal_api().get("catalog", path("shops")), as_json, _shops)


@shop.command()
def check(
    file: File,
    online: Annotated[bool, typer.Option("--online", help="Also ask the Graph API about each number.")] = False,
    as_json: AsJson = False,
) -> None:
    """Find mistakes in a shops file before applying it; exit 1 when there are some."""
    from panier_cli import shops_check

    found = shops_check.check(file, os.environ, online)
    put(found, as_json, _checked)
    if not found["ok"]:
        raise typer.Exit(FAILED)


def _document(file: Path) -> dict[str, Any]:
    """The shops of the file, and the text of each catalogue it names."""
    try:
        tables = tomllib.loads(file.read_text("utf-8")).get("shop", [])
    except (OSError, ValueError) as error:
        raise Refused(
            "bad_shops_file", f"the shops file {file} cannot be read: {error}", "see `panier shop check`"
        ) from error
    named = {
        one["id"]: one["catalogue"] for one in tables if isinstance(one, dict) and {"id", "catalogue"} <= one.keys()
    }
    try:
        catalogues = {shop_id: (file.parent / name).read_text("utf-8-sig") for shop_id, name in named.items()}
    except (OSError, ValueError, TypeError) as error:
        raise Refused("bad_catalogue", f"a catalogue cannot be read: {error}", "see `panier shop check`") from error
    return {"shops": tables, "catalogues": catalogues}


def _shops(shops: list[dict[str, Any]]) -> Iterable[Any]:
    rows = (
        (
            one["id"],
            one["name"],
            " ".join(one["languages"]),
            one["currency"],
            one["timezone"],
            one["payment_provider"],
            " ".join(number["phone_number_id"] for number in one["numbers"]),
        )
        for one in shops
    )
    yield table(("id", "name", "languages", "currency", "time zone", "payment", "numbers"), rows)


def _applied(answer: dict[str, Any]) -> Iterable[Any]:
    for one in answer["shops"]:
        yield f"{one['id']}: {'changed' if one['changed'] else 'as it was'}"
    for shop_id, result in answer["catalogues"].items():
        counts = ", ".join(f"{result[name]} {name}" for name in ("created", "updated", "unchanged"))
        yield f"{shop_id}: catalogue loaded: {counts}, {len(result['rejected'])} rejected"


def _checked(found: dict[str, Any]) -> Iterable[Any]:
    for one in found["shops"]:
        catalogue = one["catalogue"]
        products = f", {catalogue['products']} products" if catalogue else ""
        yield f"{one['id']}: {len(one['numbers'])} numbers{products}"
        for number in one["numbers"]:
            if graph := number.get("graph"):
                yield f"  {number['phone_number_id']}: {graph['display_phone_number']}, {graph['verified_name']}"
    if found["faults"]:
        yield table(("what is wrong",), [(fault,) for fault in found["faults"]])
    else:
        yield "nothing is wrong"
