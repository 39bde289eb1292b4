"""`panier catalog`: what a shop sells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from panier_cli.commands import AsJson
from panier_cli.errors import FAILED, Refused
from panier_cli.internal_api import internal_api, path
from panier_cli.output import console_for_people, money, put, table

catalog = typer.Typer(help="What a shop sells.", no_args_is_help=True)

Shop = Annotated[str, typer.Option(help="The shop's id.", show_default=False)]
Progress = Callable[[int, int], None]


@catalog.command("import")
def import_feed(
    shop: Shop,
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="Meta's product feed.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Load a product feed. A bad row stops no other; exit 1 only when no row at all could be taken."""
    try:
        feed = file.read_bytes()
    except OSError as error:
        raise Refused("no_file", f"{file} cannot be read: {error.strerror}") from error
    result = None
    with _progress(shown=not as_json) as progress:
        for line in internal_api().lines("catalog", path("shops", shop, "products"), feed, "text/csv"):
            if "progress" in line:
                progress(line["progress"]["done"], line["progress"]["total"])
            result = line.get("result", result)
    if result is None:
        raise Refused(
            "interrupted", "the import ended before its end", "import the file again: it changes nothing twice"
        )
    put(result, as_json, _imported)
    if result["rejected"] and not any(result[taken] for taken in ("created", "updated", "unchanged")):
        raise typer.Exit(FAILED)


@catalog.command("list")
def list_products(shop: Shop, as_json: AsJson = False) -> None:
    """List a shop's products with price and stock."""
    put(internal_api().get("catalog", path("shops", shop, "products")), as_json, _products)


@contextmanager
def _progress(shown: bool) -> Iterator[Progress]:
    """A bar on standard error, where a person looks."""
    console = console_for_people(stderr=True)
    if not shown or not console.is_terminal:
        yield lambda done, total: None
        return
    from rich.progress import Progress as Bar

    with Bar(console=console, transient=True) as bar:
        task = bar.add_task("importing")
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _imported(result: dict[str, Any]) -> Iterable[Any]:
    counts = ", ".join(f"{result[name]} {name}" for name in ("created", "updated", "unchanged"))
    yield f"{counts}, {len(result['rejected'])} rejected"
    if result["rejected"]:
        yield table(("#row", "why it was rejected"), [(one["row"], one["reason"]) for one in result["rejected"]])


def _products(products: list[dict[str, Any]]) -> Iterable[Any]:
    rows = (
        (
            one["sku"],
            one["title"],
            money(one["price"]["minor"], one["price"]["currency"]),
            "unlimited" if one["available"] is None else one["available"],
            one["reserved"],
            one["sold"],
            one["state"],
        )
        for one in products
    )
    yield table(("sku", "title", "#price", "#available", "#reserved", "#sold", "state"), rows)
