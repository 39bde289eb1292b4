"""`panier trace-key`: what telemetry calls a customer's conversations. Nothing is stored or changed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from panier_cli.commands import AsJson
from panier_cli.commands.conversations import Customer, Number
from panier_cli.customer import find, plain
from panier_cli.errors import USAGE, Refused
from panier_cli.internal_api import internal_api
from panier_cli.output import put, table


def trace_key(
    number: Number,
    customer: Customer,
    alone: Annotated[
        bool, typer.Option("--alone", help="Ask no service: the hash of this id alone, under PANIER_ADMIN_TOKEN.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print the hashes under which spans know a customer's conversations, by user id or WhatsApp number.

    Hashed under the admin token: spans from before it was changed are found with the one of that time and --alone.
    """
    from panier_common.conventions import CONVERSATION
    from panier_common.telemetry import conversation_hash, hash_key

    api = internal_api()
    if not api.token:
        raise Refused(
            "no_token",
            "there is no admin token to hash under",
            "set PANIER_ADMIN_TOKEN, or PANIER_ADMIN_TOKEN_FILE",
            USAGE,
        )
    conversations = [f"{number}:{plain(customer)}"] if alone else find(api, number, customer).conversations
    key = hash_key(api.token)
    found = [{"conversation": one, "hash": conversation_hash(one, key)} for one in conversations]
    put({"attribute": CONVERSATION, "conversations": found}, as_json, _show)


def _show(found: dict[str, Any]) -> Iterable[Any]:
    rows = [(one["conversation"], f"{found['attribute']}={one['hash']}") for one in found["conversations"]]
    yield table(("conversation", "!tag of its spans"), rows)
