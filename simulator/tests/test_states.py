"""What stands against messages by the state of a number, an account, a customer, an order or a file."""

import base64
from pathlib import Path
from typing import Any

import pytest
from panier_simulator.errors import GraphError
from panier_simulator.limits import MANAGED_PER_HOUR, Rates
from panier_simulator.numbers import NumberState, account_updates, quality_updates

from .conftest import NUMBER, Door, Json, Simulator, interactive, running, settings, text, until

TO = {"messaging_product": "whatsapp", "to": "+33600000001"}
HEADERS = {"Authorization": "Bearer token"}
DAY = 86_400
ACCOUNT = "102290129340398"


async def change(simulator: Simulator, **state: Any) -> Json:
    status, answer = await simulator.call("PATCH", f"/api/numbers/{NUMBER}", json=state)
    assert status == 200, answer
    return answer


async def refused(simulator: Simulator, **more: Any) -> tuple[int, int]:
    status, answer = await simulator.graph(TO | text("hi") | more)
    assert status != 200, answer
    return status, answer["error"]["code"]


def fields(door: Door, name: str) -> list[Json]:
    changes = [change for document in door.documents() for entry in document["entry"] for change in entry["changes"]]
    return [change["value"] for change in changes if change["field"] == name]


@pytest.fixture
async def customer(simulator: Simulator) -> Json:
    customer = await simulator.customer()
    await simulator.act(customer, {"text": "hello"})
    return customer


@pytest.mark.parametrize(
    ("code", "status"),
    {131031: 403, 131042: 400, 131048: 400, 368: 403, 133010: 400, 131045: 500, 190: 401, 80007: 400, 4: 400}.items(),
)
async def test_a_number_in_trouble_sends_nothing(simulator: Simulator, customer: Json, code: int, status: int) -> None:
    await change(simulator, trouble=code)
    assert await refused(simulator) == (status, code)
    await change(simulator, trouble=None)
    assert (await simulator.graph(TO | text("hi")))[0] == 200


async def test_an_account_that_is_locked_says_so(simulator: Simulator, customer: Json, door: Door) -> None:
    await change(simulator, trouble=131031)
    await change(simulator, trouble=None)
    updates = await until(lambda: len(fields(door, "account_update")) == 2 and fields(door, "account_update"))
    assert [update["ban_info"]["waba_ban_state"] for update in updates] == ["DISABLE", "REINSTATE"]


async def test_states_outlast_a_restart(tmp_path: Path, door: Door) -> None:
    async with running(settings(tmp_path, door)) as simulator:
        await simulator.act(await simulator.customer(), {"text": "hello"})
        await change(simulator, trouble=131042, messages_per_second=1)
    async with running(settings(tmp_path, door)) as simulator:
        assert await refused(simulator) == (400, 131042)
        await change(simulator, trouble=None)
        assert (await simulator.graph(TO | text("hi")))[0] == 200
        assert await refused(simulator) == (400, 130429)


async def test_throughput_follows_the_number_and_is_told(simulator: Simulator, customer: Json, door: Door) -> None:
    await change(simulator, messages_per_second=20)
    answers = [(await simulator.graph(TO | text("hi")))[0] for _ in range(40)]
    assert answers.count(400) >= 5
    shown = (await simulator.call("GET", f"/graph/v26.0/{NUMBER}", headers=HEADERS))[1]
    assert shown["throughput"] == {"level": "STANDARD"}
    until_then = simulator.exchange.clock.now() + 60
    await change(simulator, messages_per_second=1000, maintenance_until=until_then)
    assert await refused(simulator) == (500, 131057)
    await simulator.call("POST", "/api/clock", json={"move_seconds": 61})
    assert (await simulator.graph(TO | text("hi")))[0] == 200
    shown = (await simulator.call("GET", f"/graph/v26.0/{NUMBER}", headers=HEADERS))[1]
    assert shown["throughput"] == {"level": "HIGH"}
    name = "phone_number_quality_update"
    updates = await until(lambda: len(fields(door, name)) == 2 and fields(door, name))
    assert [update["event"] for update in updates] == ["DOWNGRADE", "THROUGHPUT_UPGRADE"]
    assert updates[1]["max_daily_conversations_per_business"] == "TIER_UNLIMITED"
    assert updates[1]["display_phone_number"] == "33612345678"


def test_only_changes_are_told() -> None:
    calm, red = NumberState(), NumberState(quality="RED")
    assert quality_updates("1", calm, calm, 80) == account_updates(calm, calm) == []
    assert [update["event"] for update in quality_updates("1", calm, red, 80)] == ["FLAGGED"]
    assert [update["event"] for update in quality_updates("1", red, calm, 80)] == ["UNFLAGGED"]
    assert quality_updates("1", calm, NumberState(messages_per_second=80), 80) == []
    assert account_updates(calm, NumberState(trouble=368))[0]["event"] == "ACCOUNT_VIOLATION"
    assert account_updates(calm, NumberState(trouble=131048))[0]["event"] == "ACCOUNT_RESTRICTION"


async def test_a_test_number_writes_to_its_list_and_some_countries_are_closed(
    simulator: Simulator, customer: Json
) -> None:
    await change(simulator, allowed=["33600000002"])
    assert await refused(simulator) == (400, 131030)
    await change(simulator, allowed=["33600000001"])
    assert (await simulator.graph(TO | text("hi")))[0] == 200
    await change(simulator, blocked_countries=["33"])
    assert await refused(simulator) == (403, 130497)


async def test_registers_and_deregisters(simulator: Simulator, customer: Json) -> None:
    path = f"/graph/v26.0/{NUMBER}"
    assert (await simulator.call("POST", f"{path}/deregister", headers=HEADERS))[1] == {"success": True}
    assert await refused(simulator) == (400, 133010)
    assert (await simulator.call("GET", path, headers=HEADERS))[1]["status"] == "DISCONNECTED"
    wrong = await simulator.call("POST", f"{path}/register", headers=HEADERS, json={"pin": "12"})
    assert wrong[1]["error"]["code"] == 131009
    right = {"messaging_product": "whatsapp", "pin": "123456"}
    assert (await simulator.call("POST", f"{path}/register", headers=HEADERS, json=right))[0] == 200
    assert (await simulator.graph(TO | text("hi")))[0] == 200


async def test_customers_who_cannot_be_reached(simulator: Simulator, customer: Json, door: Door) -> None:
    path = f"/api/customers/{customer['id']}/state"
    assert (await simulator.call("PATCH", path, json={"trouble": 131026}))[0] == 200
    assert await refused(simulator) == (400, 131026)
    assert (await simulator.call("PATCH", path, json={"by_status": True}))[1]["trouble"] == 131026
    wamid = (await simulator.graph(TO | text("hi")))[1]["messages"][0]["id"]
    (report,) = await until(lambda: door.reports(wamid))
    assert (report["status"], report["errors"][0]["code"]) == ("failed", 131026)
    assert (await simulator.call("PATCH", path, json={"trouble": 7}))[0] == 422
    await simulator.call("PATCH", path, json={"trouble": None, "identity_key_hash": "right"})
    assert (await simulator.graph(TO | text("hi") | {"recipient_identity_key_hash": "right"}))[0] == 200
    wrong = await simulator.graph(TO | text("hi") | {"recipient_identity_key_hash": "wrong"})
    wamid = wrong[1]["messages"][0]["id"]
    assert (await until(lambda: door.reports(wamid)))[0]["errors"][0]["code"] == 137000


async def test_some_things_are_found_out_late(simulator: Simulator, customer: Json, door: Door) -> None:
    bodies = {
        131053: {"type": "image", "image": {"link": "https://shop.invalid/a.png"}},
        131009: {"type": "reaction", "reaction": {"message_id": "wamid.unknown", "emoji": "👍"}},
    }
    for code, body in bodies.items():
        status, answer = await simulator.graph(TO | body)
        assert status == 200, answer
        (report,) = await until(lambda wamid=answer["messages"][0]["id"]: door.reports(wamid))
        assert (report["status"], report["errors"][0]["code"]) == ("failed", code)


async def test_an_order_ends_once(simulator: Simulator, customer: Json) -> None:
    def state(order: str, **more: Any) -> Json:
        parameters = {"reference_id": "order-1", "order": {"status": order}, **more}
        return TO | interactive("order_status", "b", {"name": "review_order", "parameters": parameters})

    assert (await simulator.graph(state("processing", payment={"status": "captured"})))[0] == 200
    assert (await simulator.graph(state("canceled")))[1]["error"]["code"] == 2047
    assert (await simulator.graph(state("completed")))[0] == 200
    assert (await simulator.graph(state("shipped")))[1]["error"]["code"] == 2046
    assert (await simulator.graph(state("completed")))[0] == 200


async def upload(simulator: Simulator, mime_type: str, content: bytes, *fields: str) -> tuple[int, Json]:
    parts = [f'Content-Disposition: form-data; name="{name}"\r\n\r\nwhatsapp' for name in fields]
    parts.append(f'Content-Disposition: form-data; name="file"; filename="f"\r\nContent-Type: {mime_type}\r\n\r\n')
    head = "".join(f"--frontier\r\n{part}\r\n" for part in parts).removesuffix("\r\n").encode()
    headers = HEADERS | {"Content-Type": "multipart/form-data; boundary=frontier"}
    body = head + content + b"\r\n--frontier--\r\n"
    return await simulator.call("POST", f"/graph/v26.0/{NUMBER}/media", data=body, headers=headers)


async def test_files_have_types_sizes_and_an_end(simulator: Simulator, customer: Json) -> None:
    assert (await upload(simulator, "image/png", b"x"))[1]["error"]["code"] == 100
    answers = {
        100: await upload(simulator, "text/html", b"<p>", "messaging_product"),
        131053: await upload(simulator, "image/png", b"x" * (5 * 1024 * 1024 + 1), "messaging_product"),
    }
    assert {code: answer["error"]["code"] for code, (_, answer) in answers.items()} == {code: code for code in answers}
    assert (await upload(simulator, "image/webp", b"", "messaging_product"))[1]["error"]["code"] == 131053
    status, picture = await upload(simulator, "image/png", b"x" * 5 * 1024 * 1024, "messaging_product")
    assert status == 200
    assert (await simulator.graph(TO | {"type": "image", "image": {"id": picture["id"]}}))[0] == 200
    assert (await simulator.graph(TO | {"type": "document", "document": {"id": picture["id"]}}))[0] == 200
    video = await simulator.graph(TO | {"type": "video", "video": {"id": picture["id"]}})
    assert video[1]["error"]["code"] == 131053
    header = interactive("button", "b", {"buttons": [{"type": "reply", "reply": {"id": "1", "title": "t"}}]})
    header["interactive"]["header"] = {"type": "image", "image": {"id": "404"}}
    assert (await simulator.graph(TO | header))[1]["error"]["code"] == 100
    await simulator.call("POST", "/api/clock", json={"move_seconds": 31 * DAY})
    await simulator.act(customer, {"text": "back again"})
    assert (await simulator.graph(TO | {"type": "image", "image": {"id": picture["id"]}}))[1]["error"]["code"] == 100


async def test_a_customers_file_can_be_fetched_for_a_week(simulator: Simulator, customer: Json, door: Door) -> None:
    content = base64.b64encode(b"a picture").decode()
    await simulator.act(customer, {"media": {"kind": "image", "content": content, "mime_type": "image/png"}})
    image = (await until(lambda: [message for message in door.messages() if message["type"] == "image"]))[0]["image"]
    assert "content" not in image
    path = f"/graph/v26.0/{image['id']}"
    about = (await simulator.call("GET", path, headers=HEADERS))[1]
    assert (about["mime_type"], about["file_size"]) == ("image/png", 9)
    async with simulator.session.get(about["url"], headers=HEADERS) as response:
        assert await response.read() == b"a picture"
    await simulator.call("POST", "/api/clock", json={"move_seconds": 301})
    async with simulator.session.get(about["url"], headers=HEADERS) as response:
        assert (await response.json())["error"]["code"] == 131052
    assert (await simulator.graph(TO | {"type": "image", "image": {"id": image["id"]}}))[1]["error"]["code"] == 100
    await simulator.call("POST", "/api/clock", json={"move_seconds": 7 * DAY})
    assert (await simulator.call("GET", path, headers=HEADERS))[1]["error"]["code"] == 100
    await simulator.act(customer, {"media": {"kind": "image", "content": "not base64!"}}, expect=400)


async def test_accounts_and_their_numbers_can_be_looked_at(simulator: Simulator) -> None:
    account = (await simulator.call("GET", f"/graph/v26.0/{ACCOUNT}", headers=HEADERS))[1]
    assert (account["id"], account["currency"]) == (ACCOUNT, "EUR")
    numbers = (await simulator.call("GET", f"/graph/v26.0/{ACCOUNT}/phone_numbers", headers=HEADERS))[1]["data"]
    assert [(number["id"], number["quality_rating"]) for number in numbers] == [(NUMBER, "GREEN")]
    unknown = await simulator.call("GET", "/graph/v26.0/7/phone_numbers", headers=HEADERS)
    assert unknown[1]["error"]["error_subcode"] == 33


def test_an_account_is_managed_so_often_an_hour() -> None:
    rates = Rates(False, 0)
    for _ in range(MANAGED_PER_HOUR):
        rates.manage("a", 1000.0)
    with pytest.raises(GraphError) as refusal:
        rates.manage("a", 1000.0)
    assert refusal.value.code == 80007
    rates.manage("b", 1000.0)
    rates.manage("a", 1001.0)


async def test_lists_what_was_accepted_and_refused(simulator: Simulator, customer: Json) -> None:
    for name in ("m-1", "m-2"):
        await simulator.graph(TO | {"biz_opaque_callback_data": name} | text("hi"))
    await simulator.graph(TO | {"biz_opaque_callback_data": "m-3"} | text(""))
    accepted = (await simulator.call("GET", f"/api/messages?number={NUMBER}"))[1]
    assert [message["callback"] for message in accepted] == ["m-1", "m-2"]
    assert "body" not in accepted[0]
    page = (await simulator.call("GET", f"/api/messages?after={accepted[0]['seq']}&limit=1"))[1]
    assert [message["callback"] for message in page] == ["m-2"]
    (refusal,) = (await simulator.call("GET", "/api/refusals"))[1]
    assert (refusal["callback"], refusal["code"], refusal["injected"]) == ("m-3", 131009, False)
    counts = (await simulator.call("GET", "/api/counts"))[1]
    assert (counts["received"], counts["accepted"], counts["refused"]) == (3, 2, {"131009": 1})
    assert counts["numbers"][NUMBER]["most_in_a_second"] == 2
    assert (await simulator.call("DELETE", "/api/counts"))[1]["accepted"] == 0
