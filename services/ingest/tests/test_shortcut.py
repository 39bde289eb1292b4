"""The webhook's shortcut and the ordinary way through ASGI, side by side on real connections: the same answers."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from panier_ingest import door as door_module
from panier_ingest.body import SMALL_BYTES
from panier_ingest.shortcut import _Webhook

LONG = ("Expect: 100-continue",)  # what sends a request the ordinary way, and changes nothing else


class Connection:
    """One kept connection on which requests are written byte for byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def send(self, *pieces: bytes) -> None:
        self._writer.write(b"".join(pieces))

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The next answer: its status, headers (without the date) and body."""
        head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 10)
        first, *lines = head.decode().split("\r\n")[:-2]
        if first.endswith("100 Continue"):
            return await self.answer()
        headers = dict(line.split(": ", 1) for line in lines)
        headers.pop("date")
        return int(first.split()[1]), headers, await self._reader.readexactly(int(headers["content-length"]))

    async def at_end(self) -> bool:
        return await asyncio.wait_for(self._reader.read(1), 10) == b""

    def close(self) -> None:
        self._writer.close()


@pytest_asyncio.fixture(loop_scope="session")
async def connection(door: Any) -> AsyncIterator[Connection]:
    address = urlsplit(door.url)
    made = Connection(*await asyncio.open_connection(address.hostname, address.port))
    yield made
    made.close()


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The signature headers of the webhooks that took the shortcut."""
    signatures: list[bytes] = []
    begin = _Webhook.__init__

    def noted(webhook: _Webhook, signature: bytes) -> None:
        signatures.append(signature)
        begin(webhook, signature)

    monkeypatch.setattr(_Webhook, "__init__", noted)
    return signatures


def request(body: bytes, signature: str, *headers: str, path: str = "/webhooks/whatsapp") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: here", f"Content-Length: {len(body)}", *headers]
    if signature:
        lines.append(f"X-Hub-Signature-256: {signature}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def text(wamid: str, body: str = "hello") -> dict[str, Any]:
    return {"from": "33699999999", "id": wamid, "timestamp": "1750000000", "type": "text", "text": {"body": body}}


@pytest.mark.parametrize("case", ["good", "unsigned", "forged", "no object", "unknown shops"])
async def test_both_ways_answer_alike(
    case: str, door: Any, connection: Connection, taken: list[bytes], sign: Any, make_webhook: Any
) -> None:
    body = b"[]" if case == "no object" else make_webhook(text("wamid.alike"))
    signature = {"unsigned": "", "forged": "sha256=" + "0" * 64}.get(case, sign(body))
    door.shops.loaded = case != "unknown shops"
    answers = []
    for headers in ((), LONG):
        connection.send(request(body, signature, *headers))
        answers.append(await connection.answer())
    assert answers[0] == answers[1]
    assert len(taken) == 1
    if case == "good":
        one, other = await door.records(2)
        assert (one.key, one.value, one.headers) == (other.key, other.value, other.headers)


async def test_both_ways_are_timed_as_one_endpoint(
    door: Any, connection: Connection, monkeypatch: pytest.MonkeyPatch, sign: Any, make_webhook: Any
) -> None:
    times: list[tuple[Any, ...]] = []
    monkeypatch.setattr(door_module, "took", lambda *about: times.append(about))
    body = make_webhook(text("wamid.timed"))
    for headers in ((), LONG):
        connection.send(request(body, sign(body), *headers))
        connection.send(request(body, "", *headers))
        assert [(await connection.answer())[0] for _ in range(2)] == [200, 401]
    assert [about[:3] for about in times] == [("/webhooks/whatsapp", "POST", status) for status in (200, 401)] * 2
    assert all(0 < about[3] < 10 for about in times)
    await door.records(2)


async def test_a_body_in_pieces_is_one_webhook(
    door: Any, connection: Connection, taken: list[bytes], sign: Any, make_webhook: Any
) -> None:
    body = make_webhook(text("wamid.pieces"))
    whole = request(body, sign(body))
    for at in range(0, len(whole), 100):
        connection.send(whole[at : at + 100])
        await asyncio.sleep(0)
    assert (await connection.answer())[0] == 200
    assert [json.loads(record.value)["wamid"] for record in await door.records(1)] == ["wamid.pieces"]
    assert len(taken) == 1


async def test_what_is_sent_ahead_is_answered_in_its_order(
    door: Any, connection: Connection, taken: list[bytes], sign: Any, make_webhook: Any
) -> None:
    """A webhook, two refusals that are known at once, another webhook, a page: five answers in that order."""
    one, two = make_webhook(text("wamid.ahead.1")), make_webhook(text("wamid.ahead.2"))
    connection.send(request(one, sign(one)), request(one, "sha256=0"), request(b"{", sign(b"{")))
    connection.send(request(two, sign(two)), request(b"", "", path="/nothing"))
    assert [(await connection.answer())[0] for _ in range(5)] == [200, 401, 400, 200, 404]
    assert len(await door.records(2)) == 2
    assert len(taken) == 1  # the others did not come alone


async def test_a_webhook_that_is_not_small_goes_the_ordinary_way(
    door: Any, connection: Connection, taken: list[bytes], sign: Any, make_webhook: Any
) -> None:
    body = make_webhook(text("wamid.long", "x" * SMALL_BYTES))
    connection.send(request(body, sign(body)))
    assert (await connection.answer())[0] == 200
    assert taken == []
    await door.records(1)


async def test_a_connection_that_is_to_close_is_closed(connection: Connection, sign: Any, make_webhook: Any) -> None:
    body = make_webhook(text("wamid.close"))
    connection.send(request(body, sign(body), "Connection: close"))
    status, headers, _ = await connection.answer()
    assert (status, headers["connection"]) == (200, "close")
    assert await connection.at_end()


async def test_only_a_connection_that_nobody_uses_is_closed(
    door: Any, monkeypatch: pytest.MonkeyPatch, sign: Any, make_webhook: Any
) -> None:
    """After uvicorn's five seconds; what is used meanwhile, or has half of a request, is not."""
    monkeypatch.setattr("panier_common.connections.LOOKS", 100)
    address = urlsplit(door.url)
    idle, used, begun = [Connection(*await asyncio.open_connection(address.hostname, address.port)) for _ in range(3)]
    bodies = [make_webhook(text(f"wamid.rests.{n}")) for n in range(30)]
    for connection in (idle, used, begun):
        connection.send(request(body := bodies.pop(), sign(body)))
        assert (await connection.answer())[0] == 200
    whole = request(body := bodies.pop(), sign(body))
    begun.send(whole[:50])
    ended = asyncio.create_task(idle.at_end())
    while not ended.done():
        used.send(request(body := bodies.pop(), sign(body)))
        assert (await used.answer())[0] == 200
        await asyncio.wait({ended}, timeout=1)
    assert ended.result()
    begun.send(whole[50:])
    assert (await begun.answer())[0] == 200
    for connection in (idle, used, begun):
        connection.close()
    await door.records(30 - len(bodies))


async def test_one_who_does_not_wait_for_the_answer_costs_nothing(
    door: Any, connection: Connection, taken: list[bytes], sign: Any, make_webhook: Any
) -> None:
    """The message is kept all the same, and the room that it took is given back."""
    body = make_webhook(text("wamid.gone"))
    connection.send(request(body, sign(body)))
    connection.close()
    assert [json.loads(record.value)["wamid"] for record in await door.records(1)] == ["wamid.gone"]
    assert len(taken) == 1
    assert (await door.post(make_webhook(text("wamid.next")))).status == 200
