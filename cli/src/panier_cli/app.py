"""The words of the `panier` command. Each lives in a module of `commands`; a new one is added to the table here.

Only the module of the word that is asked for is imported: commands are called in loops by scripts.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

import typer

from panier_cli.errors import USAGE, Refused

# The first word → the module of `commands` that has a command, or a group of commands, of that name.
COMMANDS = {
    "up": "up",
    "demo": "demo",
    "status": "status",
    "doctor": "doctor",
    "shop": "shop",
    "catalog": "catalog",
    "orders": "orders",
    "payments": "payments",
    "carts": "conversations",
    "messages": "conversations",
    "conversations": "conversations",
    "customer": "customer",
    "sales": "sales",
    "dead": "dead",
    "simulate": "simulate",
    "load": "load",
    "trace-key": "trace_key",
    "migrate": "migrate",
    "backup": "backup",
    "restore": "restore",
    "topics": "topics",
    "templates": "templates",
}


def build(words: Sequence[str]) -> typer.Typer:
    """The application with the command that the words begin with; with all of them when it is none of ours."""
    app = typer.Typer(
        name="panier",
        help="Panier: a self-hosted WhatsApp commerce backend.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )

    @app.callback()
    def _words() -> None:
        """Keeps the first word a word of its own while it is the only command."""

    for word in [words[0]] if words and words[0] in COMMANDS else COMMANDS:
        command = getattr(import_module(f"panier_cli.commands.{COMMANDS[word]}"), word.replace("-", "_"))
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=word)
        else:
            app.command(word)(command)
    return app


def run() -> int:
    """Run what the command line asks for; the exit status."""
    try:
        result = build(sys.argv[1:])(prog_name="panier", standalone_mode=False)
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
