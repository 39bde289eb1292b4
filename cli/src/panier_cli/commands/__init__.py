"""One module per command or group of commands; `panier_cli.__main__` lists them.

A module here imports at its top only what is quick to import: `panier status` is asked often.
"""

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document; messages go to standard error.")]
