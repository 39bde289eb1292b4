"""The public port before a real Kafka: what CONTRACT promises at the door."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from panier_common.event import from_wire
from panier_common.kafka import partition_of
from panier_ingest.body import LIMIT_BYTES, PATIENCE_BYTES, SMALL_BYTES, Full, Room
from panier_ingest.settings import IngestSettings

PATH = "/webhooks/whatsapp"


def text(wamid: str = "wamid.1", body: str = "hello") -> dict[str, Any]:
    return {"from": "33699999999", "id": wamid, "timestamp": "1750000000", "type": "text", "text": {"body": body}}


async def test_every_recorded_webhook_is_acknowledged_and_found_again(door: Any, webhooks: dict[str, bytes]) -> None:
    answers = await asyncio.gather(*(door.post(body) for body in webhooks.values()))
    assert [(answer.status, answer.body) for answer in answers] == [(200, b"")] * len(webhooks)
    records = await door.records(len(webhooks))
    raws = [json.loads(record.value)["raw"] for record in records]
    for body in webhooks.values():
        for entry in json.loads(body).get("entry", []):
            for change in entry["changes"]:
                value = change["value"] if change["field"] == "messages" else {}
                for expected in [*value.get("messages", []), *value.get("statuses", [])] or [change]:
                    assert expected in raws


async def test_a_record_is_under_the_key_and_partition_of_every_kafka_client(door: Any, make_webhook: Any) -> None:
    assert (await door.post(make_webhook(text()))).status == 200
    (record,) = await door.records(1)
    assert record.topic == "panier.inbound.v1"
    assert record.key == b"106540352242922:33699999999"
    assert record.partition == partition_of(record.key.decode(), 12)


async def test_the_order_of_one_request_is_kept(door: Any, make_webhook: Any) -> None:
    """Up to 1,000 updates come in one webhook."""
    assert (await door.post(make_webhook(*(text(f"wamid.{n}") for n in range(1000))))).status == 200
    records = await door.records(1000)
    assert [json.loads(record.value)["wamid"] for record in records] == [f"wamid.{n}" for n in range(1000)]


async def test_repeats_carry_one_id(door: Any, make_webhook: Any) -> None:
    body = make_webhook(text("wamid.same"))
    assert [(await door.post(body)).status for _ in range(3)] == [200, 200, 200]
    ids = {from_wire(record.headers)["ce_id"] for record in await door.records(3)}
    assert len(ids) == 1


async def test_a_lone_surrogate_and_a_zero_stop_nobody(door: Any, make_webhook: Any) -> None:
    assert (await door.post(make_webhook(text(body="a\0b\ud83d")))).status == 200
    (record,) = await door.records(1)
    assert json.loads(record.value)["content"]["body"] == "a\ufffdb\ufffd"


@pytest.mark.parametrize("given", ["", "sha256=", "sha256=" + "0" * 64, "nonsense"])
async def test_nothing_unsigned_is_published(given: str, door: Any, make_webhook: Any) -> None:
    refused = await door.post(make_webhook(text("wamid.forged")), given)
    assert refused.status == 401
    assert refused.headers["content-type"] == "application/problem+json"
    assert (await door.post(make_webhook(text("wamid.true")))).status == 200
    assert [json.loads(record.value)["wamid"] for record in await door.records(1)] == ["wamid.true"]


async def test_both_secrets_sign(door: Any, make_webhook: Any, sign: Any) -> None:
    body = make_webhook(text())
    assert (await door.post(body, sign(body, "another-secret"))).status == 200
    assert (await door.post(body, sign(body, "another-secret, app-secret"))).status == 401


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b"5", b'{"entry":'])
async def test_what_is_no_json_object_is_refused(body: bytes, door: Any) -> None:
    assert (await door.post(body)).status == 400
    assert (await door.post(body, "sha256=00")).status == 401


async def test_the_largest_webhook_is_taken(door: Any, make_webhook: Any) -> None:
    """One message of 3 MB is one record."""
    room = LIMIT_BYTES - len(make_webhook(text(body="")))
    body = make_webhook(text(body="x" * room))
    assert len(body) == LIMIT_BYTES
    assert (await door.post(body)).status == 200
    (record,) = await door.records(1)
    assert len(json.loads(record.value)["raw"]["text"]["body"]) == room


@pytest.mark.parametrize("size", [LIMIT_BYTES + 1, 15 * 1024 * 1024])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_too_large_is_read_and_refused_before_all_else(size: int, chunked: bool, door: Any) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, size, 65536):
            yield b"x" * min(65536, size - start)

    refused = await door.send("POST", PATH, data=pieces() if chunked else b"x" * size)
    assert refused.status == 413


async def test_a_body_without_end_is_not_read(door: Any) -> None:
    """The connection is closed once patience is at its end; whether the answer gets through is up to TCP."""
    host, port = door.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: {10**12}\r\n\r\n".encode())
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < PATIENCE_BYTES * 4:
            writer.write(b"x" * 65536)
            await writer.drain()
            sent += 65536
    assert sent < PATIENCE_BYTES * 2
    writer.close()


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods_are_not_allowed(method: str, door: Any) -> None:
    assert (await door.send(method, PATH)).status == 405


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/metrics", "/readyz", "/livez", "/status", "/internal/x"])
async def test_nothing_else_is_open(path: str, door: Any) -> None:
    assert (await door.send("GET", path)).status == 404


@pytest.mark.parametrize(
    ("mode", "token", "challenge", "status"),
    [
        ("subscribe", "verify-token", "<b>1158201444</b>", 200),
        ("subscribe", "wrong", "1", 403),
        ("subscribe", "", "1", 403),
        ("subscribe", "vérify", "1", 403),
        ("unsubscribe", "verify-token", "1", 403),
        ("subscribe", "verify-token", "", 403),
    ],
)
async def test_the_handshake_gives_the_challenge_back(
    mode: str, token: str, challenge: str, status: int, door: Any
) -> None:
    query = {"hub.mode": mode, "hub.verify_token": token, "hub.challenge": challenge}
    answer = await door.send("GET", PATH, params=query)
    assert answer.status == status
    if status == 200:
        assert answer.body.decode() == challenge
        assert answer.headers["content-type"].startswith("text/plain")
    assert (await door.send("GET", PATH)).status == 403


async def test_nothing_is_taken_before_the_shops_are_known(door: Any, make_webhook: Any) -> None:
    door.shops.loaded = False
    answer = await door.post(make_webhook(text()))
    assert (answer.status, answer.headers["retry-after"]) == (503, "7")
    door.shops.loaded = True
    assert (await door.post(make_webhook(text()))).status == 200


def test_what_is_held_at_once_is_bounded() -> None:
    room = Room(limit_bytes=100, limit_requests=2)
    assert room.take(60)
    assert not room.take(41)
    assert room.take(40)
    room.give(40)
    assert room.take(0)
    assert not room.take(0)
    room.give(60)
    assert room.take(100)


def test_large_bodies_leave_half_of_the_room_to_small_ones() -> None:
    room = Room(limit_bytes=8 * SMALL_BYTES, limit_requests=9)
    with room.place() as large, room.place() as other:
        large.grow(SMALL_BYTES)
        large.grow(3 * SMALL_BYTES)
        with pytest.raises(Full):
            large.grow(1)
        with pytest.raises(Full):
            other.grow(SMALL_BYTES + 1)
        other.grow(SMALL_BYTES)
        assert room.take(3 * SMALL_BYTES)
        assert not room.take(1)
        large.grow(0)  # its end: it has all it needs
        room.give(3 * SMALL_BYTES)
    assert room.take(8 * SMALL_BYTES)


async def test_strangers_who_announce_much_keep_nobody_out(
    door: Any, make_webhook: Any, ingest_settings: IngestSettings
) -> None:
    """They say that much will come, and send one byte each: together all that may be held at once."""
    host, port = door.url.removeprefix("http://").split(":")
    strangers = []
    many, rest = divmod(ingest_settings.waiting_bytes, LIMIT_BYTES)
    for size in (*[LIMIT_BYTES] * many, rest):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: {size}\r\n\r\n{{".encode())
        await writer.drain()
        strangers.append((reader, writer))
    await asyncio.sleep(0.2)
    assert (await door.post(make_webhook(text()))).status == 200
    assert (await door.post(make_webhook(text("wamid.long", "x" * SMALL_BYTES)))).status == 200
    for _, writer in strangers:
        writer.close()
