"""For tests: a provider reached over real HTTP, and the till that answers it: late, wrongly, or not at all.

Not one of `PROVIDERS`. It shows that a provider over the network needs no change in any handler.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import aiohttp
from aiohttp import web
from msgspec.structs import replace
from panier_common.contracts.events import PaymentNotified

from panier_payments.provider import Payable, ProviderError, Session, SessionState
from panier_payments.simulated import Simulated


class OverHttp:
    """`url` is the till's."""

    name: ClassVar[str] = "over_http"
    takes_payments: ClassVar[bool] = True
    remote: ClassVar[bool] = True

    def __init__(self, url: str = "") -> None:
        self._url = url.rstrip("/")

    def link(self, order: Payable) -> str | None:
        return None

    async def create_session(self, order: Payable) -> Session | None:
        wanted = {"order_id": order.order_id, "minor": order.minor, "currency": order.currency}
        opened = await self._asked("POST", "/sessions", json=wanted, headers={"Idempotency-Key": order.order_id})
        return Session(opened["id"], opened["url"])

    async def look_up(self, session_id: str) -> SessionState:
        return await self._state("GET", f"/sessions/{session_id}")

    async def close(self, session_id: str) -> SessionState:
        return await self._state("POST", f"/sessions/{session_id}/close")

    @staticmethod
    def verify_notification(raw: bytes, headers: Mapping[str, str], secret: str) -> PaymentNotified:
        return replace(Simulated.verify_notification(raw, headers, secret), provider=OverHttp.name)

    async def _state(self, method: str, path: str) -> SessionState:
        state: SessionState = (await self._asked(method, path))["state"]
        return state

    async def _asked(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        try:
            async with aiohttp.ClientSession() as client, client.request(method, self._url + path, **more) as answer:
                answer.raise_for_status()
                document: dict[str, Any] = await answer.json()
                return document
        except aiohttp.ClientError as error:
            raise ProviderError(type(error).__name__) from error


@dataclass
class Till:
    """Sessions by the order they are for. `failing` requests are refused; `forgetting` are carried out unanswered."""

    url: str = ""
    states: dict[str, SessionState] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    failing: int = 0
    forgetting: int = 0
    slow_seconds: float = 0.0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        await asyncio.sleep(self.slow_seconds)
        if self.failing:
            self.failing -= 1
            return web.Response(status=503)
        document = await self._done(request)
        if self.forgetting:
            self.forgetting -= 1
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(document)

    async def _done(self, request: web.Request) -> dict[str, str]:
        if request.path == "/sessions":
            session = f"session-{request.headers['Idempotency-Key']}"
            self.states.setdefault(session, "open")
            return {"id": session, "url": f"{self.url}/pay/{session}"}
        session = request.match_info["session"]
        if request.path.endswith("/close") and self.states[session] == "open":
            self.states[session] = "closed"
        return {"state": self.states[session]}


@asynccontextmanager
async def till() -> AsyncIterator[Till]:
    """A till that is open, on a port of the system's choice."""
    one = Till()
    app = web.Application()
    app.add_routes(
        [
            web.post("/sessions", one.answer),
            web.get("/sessions/{session}", one.answer),
            web.post("/sessions/{session}/close", one.answer),
        ]
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    one.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield one
    finally:
        await runner.cleanup()
