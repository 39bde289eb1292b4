"""The receiver as a process: `python -m panier_cli.traces`, OTLP in, pages out, on this machine only."""

from __future__ import annotations

import os
from itertools import islice

from aiohttp import web
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from panier_cli.traces import page
from panier_cli.traces.spans import Trace, Traces, decode
from panier_cli.traces.waterfall import document

PROTOBUF = "application/x-protobuf"
_MOST_BYTES = 16 * 1024 * 1024
_LISTED = 200


def application(traces: Traces) -> web.Application:
    """The routes over these traces."""
    app = web.Application(client_max_size=_MOST_BYTES)

    async def take(request: web.Request) -> web.Response:
        if request.content_type != PROTOBUF:
            raise web.HTTPUnsupportedMediaType(text=f"only {PROTOBUF} is read here")
        try:
            traces.add(decode(await request.read()))
        except DecodeError:
            raise web.HTTPBadRequest(text="no OTLP request") from None
        return web.Response(content_type=PROTOBUF)  # all was taken: the empty message

    async def drop(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(content_type=PROTOBUF)

    async def index(request: web.Request) -> web.Response:
        return _html(page.index(islice(traces.newest(), _LISTED)))

    async def show(request: web.Request) -> web.Response:
        trace = traces.get(request.match_info["trace_id"])
        return _html(page.not_found(), 404) if trace is None else _html(page.trace_page(trace))

    async def listed(request: web.Request) -> web.Response:
        message_id = request.query.get("message_id")
        found = traces.of_message(message_id) if message_id else islice(traces.newest(), _LISTED)
        return web.json_response([trace.summary() for trace in found])

    async def one(request: web.Request) -> web.Response:
        trace: Trace | None = traces.get(request.match_info["trace_id"])
        if trace is None:
            return web.json_response({"code": "no_such_trace"}, status=404)
        return web.json_response(document(trace))

    app.router.add_post("/v1/traces", take)
    app.router.add_post("/v1/metrics", drop)
    app.router.add_post("/v1/logs", drop)
    app.router.add_get("/", index)
    app.router.add_get("/traces/{trace_id}", show)
    app.router.add_get("/api/traces", listed)
    app.router.add_get("/api/traces/{trace_id}", one)
    return app


def _html(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html", headers=page.HEADERS)


def main() -> None:
    port = int(os.environ["PANIER_TRACES_PORT"])
    web.run_app(application(Traces()), host="127.0.0.1", port=port, access_log=None, print=None, shutdown_timeout=1)


if __name__ == "__main__":
    main()
