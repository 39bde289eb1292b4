"""Whatever is sent or published again, and however records fall into batches: the same cart, the same answers."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace as changed
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from panier_cart.cart import Cart
from panier_cart.db import load_carts, save_products
from panier_cart.loops import conversations
from panier_common import homes
from panier_common.batch import Batch, Item
from panier_common.contracts.events import (
    Event,
    Fulfilment,
    Line,
    MessageReceived,
    OrderPlaced,
    OrderRepeated,
    ProductChanged,
)
from panier_common.event import OWNER, SEQUENCE, Received, decode, encode, inbound_id
from panier_common.homes import Reading
from panier_common.postgres import Pool, create_pool
from panier_common.topics import INBOUND, ORDER

from .story import CONVERSATION, CUSTOMER, HELLO, NOON, NUMBER, SHOP, Shops, order, press

_worlds = count(1)


@pytest.fixture(scope="module")
async def pool(_templates: dict[str, str], postgres: str) -> AsyncIterator[Pool]:
    raise NotImplementedError
