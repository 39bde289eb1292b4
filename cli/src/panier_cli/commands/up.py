"""`panier up`: the local stack, until Ctrl-C. What `make run` starts."""

from __future__ import annotations

import asyncio
import json
import sys

from panier_cli.commands import AsJson
from panier_cli.interrupt import until_stopped

WEBHOOK = "/webhooks/whatsapp"


def up(as_json: AsJson = False) -> None:
    """Start broker, database, every service and the simulator; Ctrl-C stops them all."""
    asyncio.run(until_stopped(_run(as_json)))


async def _run(as_json: bool) -> None:
    from panier_cli.data_folder import DataFolder, data_path
    from panier_cli.stack.local import running, wait_until_ready
    from panier_cli.stack.screen import Screen

    screen = Screen(sys.stderr if as_json else sys.stdout)
    async with running(DataFolder(data_path()), screen) as stack:
        await wait_until_ready(stack)
        if as_json:
            print(json.dumps({"addresses": stack.addresses}), flush=True)
        for line in summary(stack.addresses):
            screen.say(line)
        await asyncio.Event().wait()


def summary(addresses: dict[str, str]) -> list[str]:
    """What people see once everything is ready."""
    words = {
        "simulator": ("the phone", "/"),
        "console": ("the console", "/"),
        "ingest": ("the webhook", WEBHOOK),
        "traces": ("the traces", "/"),
    }
    opened = [f"{words[name][0]}: {url}{words[name][1]}" for name, url in addresses.items()]
    return ["ready", *opened, "Ctrl-C stops everything; the data is kept"]
