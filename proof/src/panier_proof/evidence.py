"""What the shop holds after the run, as it tells it itself: orders, stock, carts, topics read whole, dead letters.

Plain data: what is compared with the ledger, and what `judge` needs to be run again on a kept folder.
"""

from typing import Any

import msgspec

Json = dict[str, Any]


class Inbound(msgspec.Struct, frozen=True, array_like=True):
    """A customer's message as `inbound` holds it; `owner` is the service that answers, `at` when the door wrote it."""

    conversation: str
    wamid: str
    owner: str
    at: float = 0.0
    partition: int = 0


class Requested(msgspec.Struct, frozen=True, array_like=True):
    """A message that a service asked the sender for. `answers` is the customer's wamid, empty when nobody asked."""

    id: str
    source: str
    conversation: str
    answers: str
    lane: str
    digest: str
    partition: int = 0


class OrderEvent(msgspec.Struct, frozen=True, array_like=True):
    order_id: str
    kind: str
    id: str


class Accepted(msgspec.Struct, frozen=True, array_like=True):
    """A call that Meta took, when it came: the message of that id is on the phone. `customer` is the simulator's id.

    `told` is when the shop's door first took a status of it, None when it never did.
    """

    seq: int
    id: str
    customer: str
    at: float
    told: float | None = None


class Letter(msgspec.Struct, frozen=True, array_like=True):
    id: str
    service: str
    topic: str
    partition: int
    offset: int
    reason: str


class Unowned(msgspec.Struct, frozen=True, array_like=True):
    """A time in which a partition of a loop had nobody who works it, by the clock that messages have."""

    loop: str
    partition: int
    began: float
    ended: float


class Evidence(msgspec.Struct):
    """`conversations` are the console's: the ids of messages in both directions.

    `loose_ends` counts what should be nothing: lag, outboxes, due timers, unsent messages, webhooks on their way.
    `after_replay` are the dead letters once each of them was replayed. `unowned` is what the services' logs tell of
    partitions that were given up in order, and `orderly` that nothing else was done to the shop meanwhile.
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
    unowned: list[Unowned] = []
    orderly: bool = False
