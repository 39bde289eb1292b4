"""Webhooks on a real wire: signed, in Meta's shape, again until they get a 200, also after a restart."""

from pathlib import Path

import pytest
from panier_simulator.courier import LONGEST_WAIT_SECONDS, wait_seconds

from .conftest import NUMBER, SECRET, Door, Simulator, running, settings, signed, text, until


async def test_signs_the_escaped_bytes(simulator: Simulator, door: Door) -> None:
    customer = await simulator.customer("Éléonore")
    await simulator.act(customer, {"text": "crème brûlée 🥐"})
    await until(door.messages)
    _, signature, body = door.posts[0]
    assert signature == signed(body, SECRET)
    assert body.isascii()
    assert b"cr\\u00e8me" in body
    value = door.values()[0]
    assert value["metadata"] == {"display_phone_number": "33612345678", "phone_number_id": NUMBER}
    assert value["contacts"] == [
        {"profile": {"name": "Éléonore"}, "user_id": customer["user_id"], "wa_id": "33600000001"}
    ]
    (message,) = value["messages"]
    assert (message["from"], message["from_user_id"]) == ("33600000001", customer["user_id"])
    assert message["text"] == {"body": "crème brûlée 🥐"}


async def test_a_hidden_number_is_absent_everywhere(simulator: Simulator, door: Door) -> None:
    noa = await simulator.customer("Noa", None)
    assert noa["user_id"].startswith("FR.")
    await simulator.act(noa, {"text": "hello"})
    _, answer = await simulator.graph(
        {"messaging_product": "whatsapp", "recipient": noa["user_id"], "biz_opaque_callback_data": "m-1"} | text("hi")
    )
    wamid = answer["messages"][0]["id"]
    reports = await until(lambda: len(door.reports(wamid)) == 2 and door.reports(wamid))
    assert [report["status"] for report in reports] == ["sent", "delivered"]
    for report in reports:
        assert "recipient_id" not in report
        assert report["recipient_user_id"] == noa["user_id"]
        assert report["biz_opaque_callback_data"] == "m-1"
    assert "from" not in door.messages()[0]
    assert all("wa_id" not in contact for value in door.values() for contact in value["contacts"])


async def test_reading_sends_a_third_status(simulator: Simulator, door: Door) -> None:
    customer = await simulator.customer()
    await simulator.act(customer, {"text": "hello"})
    _, answer = await simulator.graph({"messaging_product": "whatsapp", "to": "+33600000001"} | text("hi"))
    wamid = answer["messages"][0]["id"]
    await until(lambda: len(door.reports(wamid)) == 2)
    read = f"/api/customers/{customer['id']}/read"
    assert await simulator.call("POST", read, json={"number": NUMBER}) == (200, {"read": 1})
    assert await simulator.call("POST", read, json={"number": NUMBER}) == (200, {"read": 0})
    reports = await until(lambda: len(door.reports(wamid)) == 3 and door.reports(wamid))
    assert [report["status"] for report in reports] == ["sent", "delivered", "read"]
    assert {report["recipient_id"] for report in reports} == {"33600000001"}
    assert [("pricing" in report) for report in reports] == [True, True, False]


async def test_tries_again_until_200_and_keeps_the_order(simulator: Simulator, door: Door) -> None:
    door.statuses = [503, 202, 500]
    customer = await simulator.customer()
    for number in range(4):
        await simulator.act(customer, {"text": f"{number}"})
    await until(lambda: simulator.exchange.courier.stats()["delivered"] == 4)
    bodies = [message["text"]["body"] for message in door.messages()]
    assert bodies == ["0", "0", "0", "0", "1", "2", "3"]
    stats = (await simulator.call("GET", "/api/webhooks"))[1]
    assert (stats["delivered"], stats["attempts"], stats["retried"]) == (4, 7, 3)
    assert (stats["waiting"], stats["failing"], stats["dropped"]) == (0, 0, 0)
    assert [message["state"] for message in await simulator.chat(customer)] == ["delivered"] * 4


async def test_other_customers_do_not_wait(simulator: Simulator, door: Door) -> None:
    door.statuses = [503] * 3
    camille = await simulator.customer()
    await simulator.act(camille, {"text": "refused at first"})
    await until(lambda: len(door.posts) == 1)
    noa = await simulator.customer("Noa", None)
    door.statuses = []
    await simulator.act(noa, {"text": "through"})
    await until(lambda: any(message["text"]["body"] == "through" for message in door.messages()))


def test_waits_longer_each_time() -> None:
    waits = [wait_seconds(attempts) for attempts in range(1, 40)]
    assert waits[0] < 0.1
    assert waits[8] > 10 * waits[1]
    assert LONGEST_WAIT_SECONDS * 0.8 <= waits[-1] <= LONGEST_WAIT_SECONDS * 1.2


async def test_carries_on_after_a_restart(tmp_path: Path, door: Door) -> None:
    nowhere = settings(tmp_path, door, simulator_webhook_url="http://127.0.0.1:9/nobody")
    async with running(nowhere) as simulator:
        customer = await simulator.customer()
        await simulator.act(customer, {"cart": [{"sku": "croissant", "quantity": 2}]})
        await until(lambda: simulator.exchange.courier.stats()["failing"] == 1)
    async with running(settings(tmp_path, door)) as simulator:
        (message,) = await until(door.messages)
        assert message["order"]["product_items"][0]["product_retailer_id"] == "croissant"
        (kept,) = await simulator.chat(customer)
        assert kept["wamid"] == message["id"]
        assert (await simulator.call("GET", "/api/customers"))[1] == [customer]


async def test_a_message_on_its_way_arrives_after_a_restart(tmp_path: Path, door: Door) -> None:
    async with running(settings(tmp_path, door, simulator_delivered_after_seconds=60)) as simulator:
        await simulator.act(await simulator.customer(), {"text": "hello"})
        body = {"messaging_product": "whatsapp", "to": "+33600000001"} | text("hi")
        wamid = (await simulator.graph(body))[1]["messages"][0]["id"]
        await until(lambda: len(door.reports(wamid)) == 1)
    async with running(settings(tmp_path, door)):
        reports = await until(lambda: len(door.reports(wamid)) == 2 and door.reports(wamid))
        assert [report["status"] for report in reports] == ["sent", "delivered"]


async def test_a_message_is_kept_with_its_webhook_or_not_at_all(
    simulator: Simulator, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = await simulator.customer()

    def break_down(*_: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as broken:
        broken.setattr(simulator.exchange.store, "add_hook", break_down)
        await simulator.act(customer, {"text": "lost by the disk"}, expect=500)
    assert await simulator.chat(customer) == []
    await simulator.act(customer, {"text": "hello"})
    assert (await until(door.messages))[0]["text"] == {"body": "hello"}


async def test_refuses_when_too_much_waits(tmp_path: Path, door: Door) -> None:
    chosen = settings(tmp_path, door, simulator_webhook_queue=1, simulator_webhook_url="http://127.0.0.1:9/nobody")
    async with running(chosen) as simulator:
        customer = await simulator.customer()
        await simulator.act(customer, {"text": "kept"})
        refusal = await simulator.act(customer, {"text": "refused"}, expect=503)
        assert refusal["code"] == "webhooks_waiting"
        body = {"messaging_product": "whatsapp", "to": "+33600000001"} | text("hi")
        status, answer = await simulator.graph(body)
        assert (status, answer["error"]["code"]) == (500, 131016)
