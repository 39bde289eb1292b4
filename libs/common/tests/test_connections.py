"""A door's connections over real sockets: who is slow, large, many or broken is ended, and nobody else notices."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvloop
from panier_common.connections import Bounds
from panier_common.web import API_HEADERS, Server, admin_app
from starlette.types import Receive, Scope, Send

BOUNDS = Bounds(connections=8, body_bytes=100_000, request_seconds=0.8, reply_seconds=0.8, head_bytes=8_000, headers=20)
LATE = 5.0  # far beyond every time-out of these bounds
HUGE = b"x" * 30_000_000


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the body's length; `/huge` with more than any buffer holds, `/slow` after a while."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message["body"]), message["more_body"]
    if scope["path"] == "/slow":
        await asyncio.sleep(2 * BOUNDS.request_seconds)
    body = HUGE if scope["path"] == "/huge" else str(size).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def served(app: object) -> AsyncIterator[int]:
    server = Server(app, "127.0.0.1", 0, bounds=BOUNDS)
    await server.start()
    try:
        yield server._server.servers[0].sockets[0].getsockname()[1]
    finally:
        await server.stop()


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with served(echo) as port:
        yield port


async def say(port: int, *pieces: bytes, pause: float = 0.0) -> tuple[bytes, float]:
    """All that the server answers to these pieces until it closes, and after how many seconds it did."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.monotonic()
    answer = asyncio.ensure_future(reader.read())
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
            if answer.done():
                break
        async with asyncio.timeout(LATE):
            return await answer, time.monotonic() - began
    except ConnectionError:
        return b"", time.monotonic() - began
    finally:
        answer.cancel()
        writer.transport.abort()


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


async def test_one_connection_serves_many_requests(port: int) -> None:
    one = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc"
    last = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    answer, _ = await say(port, one, one, last, pause=0.1)
    assert answer.count(b"HTTP/1.1 200 OK") == 3
    answer, _ = await say(port, one + one + last)
    assert answer.count(b"HTTP/1.1 200 OK") == 3, "pipelined"


async def test_an_answer_may_take_longer_than_a_request(port: int) -> None:
    answer, seconds = await say(port, b"GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert status_of(answer) == 200
    assert seconds > BOUNDS.request_seconds


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [b"GET / HT"],
        [b"GET / HTTP/1.1\r\nhost: x\r\n"],
        [b"GET / HTTP/1.1\r\n", *[b"x-%d: y\r\n" % n for n in range(15)]],
        [b"\r\n"] * 15,
        [b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc"],
        [b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n", *[b"a"] * 15],
        [b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", *[b"1\r\na\r\n"] * 15],
        [b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", b"GET / HTTP/1.1\r\n", *[b"x: y\r\n"] * 15],
    ],
    ids=[
        "silence",
        "half a line",
        "half a head",
        "a head bit by bit",
        "empty lines",
        "half a body",
        "a body bit by bit",
        "chunks for ever",
        "the second",
    ],
)
async def test_who_never_finishes_a_request_is_ended(port: int, pieces: list[bytes]) -> None:
    answer, seconds = await say(port, *pieces, pause=0.2)
    assert seconds < BOUNDS.request_seconds * 2 + 2.5
    assert status_of(answer.split(b"\r\n\r\n0")[-1]) == 408


async def test_who_does_not_read_the_answer_is_ended(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
    writer.write(b"GET /huge HTTP/1.1\r\nhost: x\r\n\r\n")
    await asyncio.sleep(3 * BOUNDS.reply_seconds)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(len(HUGE))
    writer.transport.abort()


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 9_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"x-%d: y\r\n" % n for n in range(21)) + b"\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 9_000,
    ],
    ids=["path", "header", "headers", "without end"],
)
async def test_a_head_too_large_is_refused(port: int, head: bytes) -> None:
    answer, _ = await say(port, head)
    assert status_of(answer) == 431


async def test_a_body_too_large_is_refused_and_its_sender_told(port: int) -> None:
    fits = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 100000\r\n\r\n" + b"a" * 100_000
    answer, _ = await say(port, fits)
    assert status_of(answer) == 200
    declared = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3000000\r\n\r\n" + b"a" * 3_000_000
    chunked = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n" + b"100\r\n" + b"a" * 256
    for body in (declared, chunked + (b"\r\n100\r\n" + b"a" * 256) * 500):
        answer, _ = await say(port, body)
        assert status_of(answer) == 413


async def test_more_connections_than_there_is_room_for_are_refused_until_there_is_room(port: int) -> None:
    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(BOUNDS.connections)]
    answer, _ = await say(port, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    assert status_of(answer) == 503
    for reader, writer in held:
        assert status_of(await reader.read()) == 408
        writer.close()
    answer, _ = await say(port, b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert status_of(answer) == 200


async def test_every_answer_has_the_headers_and_none_names_the_server(port: int) -> None:
    for request in (b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", b"what is this\r\n\r\n", b"GET / HT"):
        answer, _ = await say(port, request)
        head = answer.split(b"\r\n\r\n")[0].decode().lower()
        for name, value in API_HEADERS.items():
            assert f"{name}: {value}".lower() in head
        assert "\r\nserver:" not in head


async def test_a_fault_of_ours_is_not_shown() -> None:
    app, internal = admin_app("cart", "1", "secret", lambda: None, dict)

    @internal.post("/carts")
    async def carts(body: dict[str, str]) -> None:
        raise RuntimeError("the password is hunter2")

    app.include_router(internal)
    body = b'{"a": "b"}'
    head = b"POST /internal/carts HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n"
    whole = head + b"authorization: Bearer secret\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    async with served(app) as port:
        answer, _ = await say(port, whole)
        assert status_of(answer) == 500
        assert b'"code":"failed"' in answer
        assert b"hunter2" not in answer
        assert b"Traceback" not in answer
        answer, _ = await say(port, head + b"content-length: 90000\r\n\r\n")
        assert status_of(answer) == 401, "before the body has come"
        answer, _ = await say(port, b"GET /nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert b'"code":"not_found"' in answer


def test_many_who_knock_at_once_are_let_in_within_a_few_turns_of_a_busy_loop():
    """In turns of 20 ms each, as under load: one a turn, the last of these would wait for over two seconds."""
    many = 128

    async def let_in() -> list[int]:
        server = Server(echo, "127.0.0.1", 0, bounds=Bounds(connections=1000, body_bytes=1000))
        await server.start()
        address = server._server.servers[0].sockets[0].getsockname()
        knocking = [socket.create_connection(address) for _ in range(many)]
        after = []
        for _ in range(16):
            time.sleep(0.02)  # noqa: ASYNC251 - the whole process has work
            await asyncio.sleep(0)
            after.append(len(server._server.server_state.connections))
        for one in knocking:
            one.close()
        await server.stop()
        return after

    assert uvloop.run(let_in())[-1] == many
