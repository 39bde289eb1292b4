"""What the shop holds after the run, as it tells it itself: orders, stock, carts, topics read whole, dead letters.

Plain data: what is compared with the ledger, and what `judge` needs to be run again on a kept folder.
"""

from typing import Any

import msgspec

Json = dict[str, Any]


class Inbound(msgspec.Struct, frozen=True, array_like=True):
    """A customer's message as `inbound` holds it; `owner` is the service that answers."""

    conversation: str
    wamid: str
    owner: str


class Requested(msgspec.Struct, frozen=True, array_like=True):
    """A message that a service asked the sender for. `answers` is the customer's wamid, empty when nobody asked."""

    id: str
    source: str
    conversation: str
    answers: str
    lane: str
    digest: str


class OrderEvent(msgspec.Struct, frozen=True, array_like=True):
    order_id: str
    kind: str
    id: str


class Accepted(msgspec.Struct, frozen=True, array_like=True):
    """A call that Meta took: the message of that id is on the phone. `customer` is the simulator's id."""

    seq: int
    id: str
    customer: str
    at: float


class Letter(msgspec.Struct, frozen=True, array_like=True):
    id: str
    service: str
    topic: str
    partition: int
    offset: int
    reason: str


class Evidence(msgspec.Struct):
    """`conversations` are the console's: the ids of messages in both directions.

    `loose_ends` counts what should be nothing: lag, outboxes, due timers, unsent messages, webhooks on their way.
    `after_replay` are the dead letters once each of them was replayed.
    """

    inbound: list[Inbound] = []
    requested: list[Requested] = []
    order_events: list[OrderEvent] = []
    accepted: list[Accepted] = []
    orders: list[Json] = []
    products: list[Json] = []
    carts: dict[str, dict[str, int]] = {}
    conversations: dict[str, list[str]] = {}
    letters: list[Letter] = []
    after_replay: list[Letter] = []
    loose_ends: dict[str, int] = {}
    sales_differences: int = 0
