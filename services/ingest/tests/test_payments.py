"""`POST /webhooks/payments/{provider}` before a real Kafka."""

import json
from typing import Any

import pytest
from panier_common import web

PAID = {"id": "note-1", "order_id": "0b7c", "state": "paid", "minor": 880, "currency": "EUR"}


async def notify(door: Any, sign: Any, body: bytes, secret: str = "payment-secret", provider: str = "simulated") -> Any:
    headers = {"X-Panier-Signature": sign(body, secret)}
    return await door.send("POST", f"/webhooks/payments/{provider}", data=body, headers=headers)


async def test_a_notification_is_published_under_its_order(door: Any, sign: Any) -> None:
    body = json.dumps({**PAID, "more": "\0"}).encode()
    for _ in range(2):
        answer = await notify(door, sign, body)
        assert (answer.status, answer.body) == (200, b"")
    records = await door.records(2)
    assert {record.topic for record in records} == {"panier.payment.v1"}
    assert {record.key for record in records} == {b"0b7c"}
    assert len({dict(record.headers)["ce_id"] for record in records}) == 1
    event = json.loads(records[0].value)
    assert (event["minor"], event["currency"], event["state"]) == (880, "EUR", "paid")
    assert event["raw"] == {**PAID, "more": "\ufffd"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"nonsense",
        json.dumps({**PAID, "minor": 8.8}).encode(),
        json.dumps({**PAID, "state": "maybe"}).encode(),
        json.dumps({**PAID, "order_id": ""}).encode(),
        b'{"more":' + b"[" * 3000 + b"]" * 3000 + b"}",
    ],
)
async def test_a_malformed_notification_is_refused(body: bytes, door: Any, sign: Any) -> None:
    assert (await notify(door, sign, body)).status == 400
    assert (await notify(door, sign, body, secret="wrong")).status == 401


@pytest.mark.parametrize("wrong", ["id", "order_id", "state", "minor", "currency"])
@pytest.mark.parametrize("given", [{}, {"value": [1]}], ids=["missing", "of another kind"])
async def test_the_refusal_names_the_field_that_is_wrong(wrong: str, given: Any, door: Any, sign: Any) -> None:
    rest = {name: value for name, value in PAID.items() if name != wrong}
    answer = await notify(door, sign, json.dumps(rest | ({wrong: given} if given else {})).encode())
    problem = json.loads(answer.body)
    assert (answer.status, problem["code"]) == (400, "bad-notification")
    assert wrong in problem["detail"]


@pytest.mark.parametrize("provider", ["stripe", "on_collection", "nobody", "simulated2"])
async def test_a_provider_no_shop_uses_is_not_there(provider: str, door: Any, sign: Any) -> None:
    body = json.dumps(PAID).encode()
    assert (await notify(door, sign, body, provider=provider)).status == 404


async def test_the_simulated_provider_is_there_only_when_a_shop_uses_it(door: Any, sign: Any) -> None:
    door.shops.by_id.clear()
    assert (await notify(door, sign, json.dumps(PAID).encode())).status == 404


async def test_a_notification_too_large_is_refused(door: Any, sign: Any) -> None:
    assert (await notify(door, sign, b"x" * 4_000_000)).status == 413


async def test_the_time_of_an_answer_is_counted_under_the_route(
    door: Any, sign: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    times: list[tuple[Any, ...]] = []
    monkeypatch.setattr(web, "took", lambda *about: times.append(about))
    body = json.dumps(PAID).encode()
    await notify(door, sign, body)
    await notify(door, sign, body, secret="wrong")
    await door.send("GET", "/webhooks/whatsapp?hub.verify_token=wrong")
    assert [about[:3] for about in times] == [
        ("/webhooks/payments/{provider}", "POST", 200),
        ("/webhooks/payments/{provider}", "POST", 401),
        ("/webhooks/whatsapp", "GET", 403),
    ]
    await door.records(1)


async def test_only_post_is_allowed(door: Any) -> None:
    assert (await door.send("GET", "/webhooks/payments/simulated")).status == 405
