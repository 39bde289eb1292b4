"""Until when the numbers' access tokens are good, as Meta says of each: a token that ends unnoticed stops its number.

Meta announces no end; it tells one who asks. Neither a token nor an address with one in it is ever logged.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping

import structlog
from panier_common import telemetry
from panier_common.dead_letters import reason_of
from panier_common.shops import ShopDirectory

from panier_sender.graph import Graph
from panier_sender.tokens import Tokens

EVERY_SECONDS = 3600.0
AGAIN_SECONDS = 60.0
CALL_SECONDS = 10.0

log = structlog.get_logger()


class Expiry:
    """Asks Meta once an hour, about a number without an answer once a minute; the figures are those of the metrics.

    `checked_at` is when Meta last answered about a number; until then, when the number was first known here: without a
    time the alert would never tell of a token that Meta does not answer about.
    """

    def __init__(self, graph: Graph, tokens: Tokens, shops: ShopDirectory) -> None:
        self._graph, self._tokens, self._shops = graph, tokens, shops
        self.ends: dict[str, float] = {}
        self.checked_at: dict[str, float] = {}
        self._ask_at: dict[str, float] = {}

    async def run(self) -> None:
        telemetry.gauge("panier.token.expires_timestamp_seconds", lambda: _by_number(self.ends))
        telemetry.gauge("panier.token.checked_timestamp_seconds", lambda: _by_number(self.checked_at))
        while True:
            if self._shops.loaded:
                await self.ask()
            await asyncio.sleep(AGAIN_SECONDS if self._shops.loaded else 1.0)

    async def ask(self, now: Callable[[], float] = time.time) -> None:
        """Ask about every number whose time has come."""
        numbers = list(self._shops.by_number)
        self.ends = {number: self.ends[number] for number in numbers if number in self.ends}
        self.checked_at = {number: self.checked_at.get(number, now()) for number in numbers}
        self._ask_at = {number: self._ask_at.get(number, now()) for number in numbers}
        for number in numbers:
            if self._ask_at[number] <= now():
                await self._ask_about(number, now)

    async def _ask_about(self, number: str, now: Callable[[], float]) -> None:
        end = await self._end_of(number)
        if end is None:
            return
        self.checked_at[number], self._ask_at[number] = now(), now() + EVERY_SECONDS
        self.ends.pop(number, None)
        if end:
            self.ends[number] = end

    async def _end_of(self, number: str) -> float | None:
        token = end = fault = None
        try:
            token = self._tokens.of(number)
            end = None if token is None else await self._graph.token_end(token, CALL_SECONDS)
        except Exception as error:  # of one token: the others are asked about all the same
            fault = reason_of(error)
        if end is None:
            given = token is not None
            log.warning("Meta does not say until when a token is good", number=number, given=given, fault=fault)
        return end


def _by_number(ends: Mapping[str, float]) -> Iterable[tuple[float, Mapping[str, str]]]:
    return [(end, {"number": number}) for number, end in ends.items()]
