"""HTTP inside a process: probes, metrics, status, the bearer check, errors as problem+json, and its server."""

import asyncio
import hmac
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import asyncpg
import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from panier_common.connections import Bounds, bounded, listen
from panier_common.endpoints import took
from panier_common.exposition import page

# FastAPI's own spans hold the query, and with it customers' ids and the handshake's token.
NO_TELEMETRY: TelemetryConfig = {"auto_configure": False, "tracing": False, "metrics": False, "logs": False}

# For programs, not for browsers: nothing is kept, shown in a frame, or taken for another kind of document.
API_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
# Machines ask for these every few seconds; how long that takes says nothing about what people wait for.
PROBES = frozenset({"/livez", "/readyz", "/metrics"})
NO_ROUTE = "none"
# Inside of the deployment: probes, a Prometheus, people's tools. The largest body is a catalogue.
ADMIN_BOUNDS = Bounds(connections=200, body_bytes=32 * 1024 * 1024)

# What a request meets while PostgreSQL is away, going or coming: none of it is the request's fault.
_AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    ConnectionError,
    TimeoutError,
)


class Problem(Exception):  # noqa: N818 (RFC 9457 calls it that)
    """A refusal with a machine's word (`code`), what was wrong, and what to do about it."""

    def __init__(self, status: int, code: str, detail: str, hint: str = "") -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.hint = status, code, detail, hint

    def response(self) -> JSONResponse:
        body = {
            "type": f"urn:panier:problem:{self.code}",
            "title": self.code.replace("_", " "),
            "status": self.status,
            "code": self.code,
            "detail": self.detail.encode(errors="backslashreplace").decode(),  # JSON has halves of characters
            "hint": self.hint,
        }
        return JSONResponse(body, self.status, media_type="application/problem+json")


def with_problems(app: FastAPI) -> FastAPI:
    """Have the application answer refusals as problem+json."""

    async def problem(_: Request, error: Exception) -> Response:
        if isinstance(error, Problem):
            return error.response()
        raise error

    async def invalid(_: Request, error: Exception) -> Response:
        if isinstance(error, RequestValidationError):
            fields = "; ".join(f"{'.'.join(map(str, e['loc'][1:]))}: {e['msg']}" for e in error.errors())
            return Problem(400, "invalid", fields, "see the command's help").response()
        raise error

    async def unfit(_: Request, error: Exception) -> Response:
        what = "a zero character, half of a character, or a number out of range"
        detail = f"something in the request no database can hold: {what}"
        return Problem(400, "invalid", detail, "leave it out").response()

    async def away(_: Request, error: Exception) -> Response:
        detail = f"the database does not answer ({type(error).__name__})"
        return Problem(503, "no_database", detail, "try again, a command with the same key").response()

    async def refused(_: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
        response = Problem(error.status_code, code, str(error.detail)).response()
        response.headers.update(error.headers or {})
        return response

    async def failed(_: Request, error: Exception) -> Response:
        # What went wrong is for our log alone, which the server writes.
        return Problem(500, "failed", "the request met a fault of ours", "the service's log says which").response()

    app.add_exception_handler(Problem, problem)
    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(Exception, failed)
    for kind in _AWAY:
        app.add_exception_handler(kind, away)
    app.add_exception_handler(asyncpg.DataError, unfit)
    app.add_exception_handler(UnicodeEncodeError, unfit)
    app.add_exception_handler(RequestValidationError, invalid)
    return app


def admin_app(
    name: str,
    version: str,
    token: str,
    why: Callable[[], str | None],
    lag: Callable[[], dict[str, tuple[int, float]]],
) -> tuple[FastAPI, APIRouter]:
    """A service's admin application, and the router for its internal API (behind the bearer token)."""
    app = with_problems(
        FastAPI(title=f"panier-{name}", version=version, docs_url=None, redoc_url=None, telemetry=NO_TELEMETRY)
    )
    expected = f"Bearer {token}".encode()

    def bearer(request: Request) -> None:
        given = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, expected):
            raise Problem(401, "unauthorized", "the bearer token is missing or wrong", "see PANIER_ADMIN_TOKEN")

    app.add_middleware(_Entrance, check=bearer)
    app.add_middleware(Timed)

    @app.get("/livez")
    async def livez() -> dict[str, bool]:
        return {"alive": True}

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        reason = why()
        if reason is None:
            return JSONResponse({"ready": True})
        return JSONResponse({"ready": False, "why": reason}, 503)

    @app.get("/metrics")
    async def metrics(request: Request) -> Response:
        content, content_type = page(request.headers.get("accept", ""))
        return Response(content, media_type=content_type)

    @app.get("/status")
    async def status() -> dict[str, Any]:
        reason = why()
        return {
            "name": name,
            "version": version,
            "ready": reason is None,
            "why": reason,
            "lag": {
                topic: {"records": records, "seconds": round(seconds, 3)} for topic, (records, seconds) in lag().items()
            },
        }

    internal = APIRouter(prefix="/internal", dependencies=[Depends(bearer)])
    return app, internal


class _Entrance:
    """Asks for the token before the framework reads a body: a stranger's body is not taken into memory."""

    def __init__(self, app: ASGIApp, check: Callable[[Request], None]) -> None:
        self._app = app
        self._check = check

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/internal"):
            try:
                self._check(Request(scope))
            except Problem as refusal:
                await refusal.response()(scope, receive, send)
                return
        await self._app(scope, receive, send)


class Timed:
    """Counts every answer but a probe's under its route, with the time until its last byte was handed over."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        status = 500  # the framework's answer to what is raised here; it gives that further out

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        began = time.monotonic()
        try:
            await self._app(scope, receive, sent)
        finally:
            took(_route_of(scope), scope["method"], status, time.monotonic() - began)


def _route_of(scope: Scope) -> str:
    """The template of the route, as FastAPI leaves it there; of one in a router, with the prefixes it has there."""
    whole = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    return str(getattr(whole, "path", NO_ROUTE))


class Server:
    """An uvicorn server that leaves signals to its process, and whose connections are bounded.

    `headers` are put on every answer, those included that are given before the application is asked.
    """

    def __init__(
        self,
        app: Any,
        host: str,
        port: int,
        *,
        bounds: Bounds = ADMIN_BOUNDS,
        headers: Mapping[str, str] = API_HEADERS,
        connection: type[HttpToolsProtocol] = HttpToolsProtocol,
        **options: Any,
    ) -> None:
        config = uvicorn.Config(
            app,
            http=bounded(bounds, connection),
            ws="none",
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            headers=list(headers.items()),
            **options,
        )
        self._host, self._port = host, port
        self._server = uvicorn.Server(config)
        self._server.capture_signals = _no_signals  # type: ignore[method-assign,assignment]
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen; raises OSError when the port cannot be had."""
        self._task = asyncio.create_task(self._server.serve(listen(self._host, self._port)))
        until = time.monotonic() + 10
        while not self._server.started:
            if self._task.done():
                self._task.result()
                raise OSError("the server ended before it listened")
            if time.monotonic() > until:
                raise OSError("the server does not listen")
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """Finish the requests in flight, for at most 10 s."""
        if self._task is None:
            return
        self._server.should_exit = True
        with suppress(asyncio.TimeoutError, asyncio.CancelledError):
            async with asyncio.timeout(10):
                await self._task


class _no_signals:  # noqa: N801 (stands in for a context-manager function)
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...
