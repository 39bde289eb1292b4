"""The demo's acts: a purchase through the simulator, its trace, the order and the sale. Raises Refused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from panier_cli.errors import Refused
from panier_cli.internal_api import InternalApi, path
from panier_cli.play import chat
from panier_cli.play.phone import Message, Phone, pick_up
from panier_cli.play.story import Story

ANSWER_SECONDS = 15.0
STORY_SECONDS = 120.0
PAID_SECONDS = 15.0
COUNTED_SECONDS = 20.0
TRACE_SECONDS = 6.0

_T = TypeVar("_T")
Show = Callable[[Message, chat.Titles], None]


@dataclass
class Played:
    """What came of the purchase."""

    messages: list[Message]
    titles: Mapping[str, str]
    order: dict[str, Any] = field(default_factory=dict)
    trace: dict[str, Any] | None = None
    sales: dict[str, Any] = field(default_factory=dict)


async def purchase(api: InternalApi, story: Story, show: Show) -> tuple[Played, int]:
    """Play the story until its order is paid; what was played, and what the shop had sold before."""
    import aiohttp

    titles: dict[str, str] = {}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(ANSWER_SECONDS + 5)) as session:
        phone, known = await pick_up(
            session,
            api.urls["simulator"],
            story.customer,
            None,
            None,
            lambda message: show(message, titles),
            ANSWER_SECONDS,
        )
        titles.update(known)
        shop = await _shop_of(api, phone.number)
        before = await _until(lambda: _asked(_revenue, api, shop), COUNTED_SECONDS)
        if before is None:
            raise Refused("not_ready", f"sales did not answer within {COUNTED_SECONDS:.0f} s")
        try:
            async with asyncio.timeout(STORY_SECONDS):
                await _play(phone, story)
        except TimeoutError:
            raise Refused("too_slow", f"the purchase did not end within {STORY_SECONDS:.0f} s") from None
    if phone.paid_order is None:
        raise Refused("no_order", "the story ended without a link to pay")
    played = Played(phone.messages, titles)
    played.order = await _paid(api, phone.paid_order)
    return played, before


async def _play(phone: Phone, story: Story) -> None:
    for step in story.steps:
        await phone.play(step)


async def _shop_of(api: InternalApi, number: str) -> str:
    shops = await asyncio.to_thread(api.get, "catalog", path("shops"))
    found = [shop["id"] for shop in shops for one in shop["numbers"] if one["phone_number_id"] == number]
    if not found:
        raise Refused("unknown_number", f"the catalogue knows no shop with the number {number}")
    return str(found[0])


async def _paid(api: InternalApi, order_id: str) -> dict[str, Any]:
    """The order, once it is paid."""

    async def look() -> dict[str, Any] | None:
        order: dict[str, Any] | None = await _asked(api.get, "checkout", path("orders", order_id))
        return order if order and order["payment_state"] == "paid" else None

    order = await _until(look, PAID_SECONDS)
    if order is None:
        raise Refused("not_paid", f"the order was not paid within {PAID_SECONDS:.0f} s")
    return order


def _revenue(api: InternalApi, shop: str) -> int:
    """All that the shop has sold, over all days and currencies: midnight may fall into a demo."""
    days = api.get("sales", path("sales", "days"), shop=shop)
    return sum(one["revenue_minor"] for day in days for one in day["currencies"])


async def counted(api: InternalApi, order: Mapping[str, Any], before: int) -> dict[str, Any]:
    """The shop's day, once sales has counted the order."""
    shop = order["shop"]

    async def look() -> bool | None:
        revenue = await _asked(_revenue, api, shop)
        return (revenue is not None and revenue >= before + order["paid_minor"]) or None

    if not await _until(look, COUNTED_SECONDS):
        raise Refused("not_counted", f"sales did not count the order within {COUNTED_SECONDS:.0f} s")
    sold: dict[str, Any] = await asyncio.to_thread(api.get, "sales", path("sales"), shop=shop)
    return sold


async def trace_of(address: str, order: Mapping[str, Any]) -> dict[str, Any] | None:
    """The trace of the press that placed the order, once it reaches the Graph API call; None when none comes."""
    import aiohttp
    from panier_common.event import inbound_id

    message_id = inbound_id(order["phone_number_id"], order["caused_by"])
    found: dict[str, Any] | None = None
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(2)) as session:

        async def look() -> bool | None:
            nonlocal found
            try:
                async with session.get(f"{address}/api/traces", params={"message_id": message_id}) as answer:
                    listed = await answer.json()
                if not listed:
                    return None
                async with session.get(f"{address}/api/traces/{listed[-1]['trace_id']}") as answer:
                    found = await answer.json()
            except (aiohttp.ClientError, TimeoutError):
                return None
            return any(span["kind"] == "CLIENT" for span in found["waterfall"]) or None

        await _until(look, TRACE_SECONDS)
    return found


async def _asked(ask: Callable[..., _T], *what: Any) -> _T | None:
    """What a service says; nothing while it is away, since it may be on its way back."""
    try:
        return await asyncio.to_thread(ask, *what)
    except Refused as error:
        if error.code in ("unreachable", "not_ready", "no_such_order"):
            return None
        raise


async def _until(look: Callable[[], Awaitable[_T | None]], seconds: float) -> _T | None:
    """Look until there is something to see, for this long."""
    deadline = time.monotonic() + seconds
    while (found := await look()) is None and time.monotonic() < deadline:  # noqa: ASYNC110 - asks another process
        await asyncio.sleep(0.2)
    return found
