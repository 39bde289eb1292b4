"""The words of the `panier` command. Each lives in a module of `commands`; a new one is added here."""

from __future__ import annotations

import typer

from panier_cli.commands.catalog import catalog
from panier_cli.commands.conversations import carts, messages
from panier_cli.commands.dead import dead
from panier_cli.commands.demo import demo
from panier_cli.commands.migrate import migrate
from panier_cli.commands.orders import orders
from panier_cli.commands.sales import sales
from panier_cli.commands.shop import shop
from panier_cli.commands.simulate import simulate
from panier_cli.commands.status import status
from panier_cli.commands.topics import topics
from panier_cli.commands.up import up
from panier_cli.errors import USAGE, Refused

app = typer.Typer(
    name="panier",
    help="Panier: a self-hosted WhatsApp commerce backend.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(up)
app.command()(status)
app.command()(migrate)
app.command()(demo)
app.command()(simulate)
for name, group in {
    "shop": shop,
    "catalog": catalog,
    "orders": orders,
    "carts": carts,
    "messages": messages,
    "sales": sales,
    "dead": dead,
    "topics": topics,
}.items():
    app.add_typer(group, name=name)


def run() -> int:
    """Run what the command line asks for; the exit status."""
    try:
        result = app(prog_name="panier", standalone_mode=False)
    except typer.Abort:
        return 130
    except Exception as error:
        # What the parser refuses, a word or an option too many or too few, knows how to say so.
        if not hasattr(error, "format_message"):
            raise
        if not error.format_message():  # no word at all: the help was shown
            return USAGE
        raise Refused("usage", error.format_message(), "see `panier --help`", USAGE) from None
    return result if isinstance(result, int) else 0
