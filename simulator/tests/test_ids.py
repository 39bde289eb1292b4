"""Customers whose ids change, and webhooks posted whole: what only Meta could do, on demand."""

from pathlib import Path

from .conftest import NUMBER, Door, Simulator, running, settings, text, until
from .test_states import fields

TO = {"messaging_product": "whatsapp"}


async def test_another_number_is_told_and_reached(simulator: Simulator, door: Door) -> None:
    customer = await simulator.customer()
    await simulator.act(customer, {"text": "hello"})
    path = f"/api/customers/{customer['id']}"
    status, changed = await simulator.call("PATCH", path, json={"wa_id": "33600000777"})
    assert (status, changed["wa_id"], changed["user_id"]) == (200, "33600000777", customer["user_id"])
    (system,) = await until(lambda: [message for message in door.messages() if message["type"] == "system"])
    assert (system["from"], system["system"]["wa_id"]) == ("33600000001", "33600000777")
    assert system["system"]["type"] == "user_changed_number"
    assert all("contacts" not in value for value in door.values() if value["messages"] == [system])
    assert (await simulator.graph(TO | {"to": "+33600000777"} | text("hi")))[0] == 200
    refused = await simulator.graph(TO | {"to": "+33600000001"} | text("hi"))
    assert refused[1]["error"]["code"] == 131047, "the old number is a stranger's"
    assert [each["direction"] for each in await simulator.chat(customer)] == ["in", "out"]


async def test_another_user_id_is_told_twice(simulator: Simulator, door: Door) -> None:
    customer = await simulator.customer("Noa", None)
    await simulator.act(customer, {"text": "hello"})
    await simulator.call("PATCH", f"/api/customers/{customer['id']}", json={"user_id": "FR.77"})
    (update,) = (await until(lambda: fields(door, "user_id_update")))[0]["user_id_update"]
    assert update["user_id"] == {"previous": customer["user_id"], "current": "FR.77"}
    assert "wa_id" not in update
    (system,) = [message for message in door.messages() if message["type"] == "system"]
    assert (system["from_user_id"], system["system"]["user_id"]) == (customer["user_id"], "FR.77")
    assert (await simulator.graph(TO | {"recipient": "FR.77"} | text("hi")))[0] == 200


async def test_ids_of_others_are_not_taken(simulator: Simulator, door: Door) -> None:
    camille, noa = await simulator.customer(), await simulator.customer("Noa", "33600000002")
    path = f"/api/customers/{noa['id']}"
    assert (await simulator.call("PATCH", path, json={"wa_id": camille["wa_id"]}))[0] == 409
    assert (await simulator.call("PATCH", path, json={"user_id": camille["user_id"]}))[0] == 409
    assert (await simulator.call("PATCH", path, json={"wa_id": noa["wa_id"]}))[0] == 200
    assert (await simulator.call("PATCH", path, json={"name": "x"}))[0] == 422
    assert door.messages() == []


async def test_changed_ids_outlast_a_restart(tmp_path: Path, door: Door) -> None:
    async with running(settings(tmp_path, door)) as simulator:
        customer = await simulator.customer()
        await simulator.call("PATCH", f"/api/customers/{customer['id']}", json={"wa_id": "33600000777"})
    async with running(settings(tmp_path, door)) as simulator:
        (kept,) = (await simulator.call("GET", "/api/customers"))[1]
        assert kept == customer | {"wa_id": "33600000777"}


async def test_posts_whole_webhooks_as_they_are_never_in_a_batch(simulator: Simulator, door: Door) -> None:
    echo = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "33612345678", "phone_number_id": NUMBER},
        "message_echoes": [{"from": "33612345678", "to": "33600000001", "id": "wamid.E", "type": "text"}],
    }
    document = {
        "object": "whatsapp_business_account",
        "entry": [{"id": "1", "changes": [{"field": "smb_message_echoes", "value": echo}]}],
    }
    strange = {"object": "something_else", "entries": None}
    assert (await simulator.call("POST", "/api/webhooks", json=document))[0] == 202
    await until(lambda: door.documents() == [document])
    await simulator.call("PUT", "/api/faults", json={"batch_updates": 10, "batch_seconds": 0.2})
    for each in (document, strange):
        await simulator.call("POST", "/api/webhooks", json=each)
    await until(lambda: len(door.posts) == 3)
    assert sorted(map(str, door.documents())) == sorted(map(str, [document, document, strange]))
