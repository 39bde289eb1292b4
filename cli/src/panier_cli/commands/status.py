"""`panier status`: engines and services, whether they are ready, and how far behind."""

from __future__ import annotations

import typer

from panier_cli import status as stack_status
from panier_cli.commands import AsJson


def status(as_json: AsJson = False) -> None:
    """Show what runs, whether it is ready and how far behind; exit 0 only when all are ready."""
    raise typer.Exit(stack_status.run(as_json))
