"""What depends on state: recipients, the window, catalogues, receipts, limits, media, tokens."""

import asyncio
import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from panier_simulator.errors import GraphError
from panier_simulator.limits import PAIR_BURST, PAIR_SECONDS, WAY_SECONDS, WINDOW_SECONDS, Rates, check_window
from panier_simulator.stalls import Stalls

from .conftest import NUMBER, Door, Json, Simulator, product, running, settings, text, until

TO = {"messaging_product": "whatsapp", "to": "+33600000001"}
CATALOG = "194836987003835"


def code(answer: tuple[int, Json]) -> tuple[int, int]:
    """HTTP status and Meta's code of a refusal, whose form is checked on the way."""
    status, document = answer
    error = document["error"]
    assert error["message"]
    assert error["type"] == "OAuthException"
    assert error["fbtrace_id"]
    assert error["error_data"]["messaging_product"] == "whatsapp"
    return status, error["code"]


async def test_to_wins_over_recipient(simulator: Simulator) -> None:
    camille, noa = await simulator.customer(), await simulator.customer("Noa", None)
    for customer in (camille, noa):
        await simulator.act(customer, {"text": "hello"})
    status, answer = await simulator.graph(TO | {"recipient": noa["user_id"]} | text("for Camille"))
    assert status == 200
    assert answer["contacts"] == [{"input": "+33600000001", "wa_id": "33600000001"}]
    assert [message["direction"] for message in await simulator.chat(noa)] == ["in"]

    status, answer = await simulator.graph(
        {"messaging_product": "whatsapp", "recipient": noa["user_id"], **text("for Noa")}
    )
    assert answer["contacts"] == [{"input": noa["user_id"], "user_id": noa["user_id"]}]
    assert (await simulator.chat(noa))[-1]["body"]["text"] == {"body": "for Noa"}


async def test_refuses_unknown_recipients_numbers_and_tokens(simulator: Simulator, door: Door) -> None:
    nobody = {"messaging_product": "whatsapp", "recipient": "FR.1", **text("x")}
    assert code(await simulator.graph(nobody)) == (400, 131026)
    assert code(await simulator.graph({**TO, "to": "+33612345678", **text("x")})) == (400, 131021)
    status, answer = await simulator.graph(TO | text("x"), number="999")
    assert (status, answer["error"]["code"], answer["error"]["error_subcode"]) == (400, 100, 33)
    path = f"/graph/v26.0/{NUMBER}/messages"
    assert code(await simulator.call("POST", path, json=TO | text("x"))) == (401, 190)
    headers = {"Authorization": "Bearer token"}
    assert code(await simulator.call("POST", path, data=b"{", headers=headers)) == (400, 100)


async def test_checks_the_numbers_own_token(tmp_path: Path, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOULANGERIE_TOKEN", "the-right-one")
    async with running(settings(tmp_path, door, simulator_check_tokens=True)) as simulator:
        await simulator.act(await simulator.customer(), {"text": "hello"})
        assert code(await simulator.graph(TO | text("x"))) == (401, 190)
        headers = {"Authorization": "Bearer the-right-one"}
        path = f"/graph/v26.0/{NUMBER}/messages"
        assert (await simulator.call("POST", path, json=TO | text("x"), headers=headers))[0] == 200


async def test_keeps_the_window(simulator: Simulator) -> None:
    assert code(await simulator.graph(TO | text("to a stranger"))) == (400, 131047)
    assert (await simulator.call("GET", "/api/customers"))[1] == []
    customer = await simulator.customer()
    assert code(await simulator.graph(TO | text("too early"))) == (400, 131047)
    template = {"type": "template", "template": {"name": "hello_world", "language": {"code": "en_US"}}}
    assert (await simulator.graph(TO | template))[0] == 200
    await simulator.act(customer, {"text": "hello"})
    assert (await simulator.graph(TO | text("in time")))[0] == 200


def test_the_window_is_24_hours() -> None:
    check_window(1000.0, 1000.0 + WINDOW_SECONDS)
    for last in (1000.0, None):
        with pytest.raises(GraphError):
            check_window(last, 1001.0 + WINDOW_SECONDS)


async def test_can_fail_by_status_outside_the_window(tmp_path: Path, door: Door) -> None:
    async with running(settings(tmp_path, door, simulator_window="fail")) as simulator:
        await simulator.customer()
        status, answer = await simulator.graph(TO | {"biz_opaque_callback_data": "order-1"} | text("late"))
        assert status == 200
        wamid = answer["messages"][0]["id"]
        (report,) = await until(lambda: door.reports(wamid))
        assert report["status"] == "failed"
        assert report["errors"][0]["code"] == 131047
        assert report["biz_opaque_callback_data"] == "order-1"
        assert "recipient_user_id" not in report


async def test_knows_its_catalogue(simulator: Simulator) -> None:
    customer = await simulator.customer()
    await simulator.act(customer, {"text": "hello"})
    assert (await simulator.graph(TO | product("croissant", "b")))[0] == 200
    assert code(await simulator.graph(TO | product("unicorn", "b"))) == (400, 131009)
    foreign = json.loads(json.dumps(product("croissant", "b")).replace(CATALOG, "1"))
    assert code(await simulator.graph(TO | foreign)) == (400, 131009)


async def test_shows_only_products_that_exist(simulator: Simulator) -> None:
    customer = await simulator.customer()
    await simulator.act(customer, {"text": "hello"})

    def several(*parts: list[str]) -> Json:
        sections = [
            {"title": f"s{index}", "product_items": [{"product_retailer_id": sku} for sku in skus]}
            for index, skus in enumerate(parts)
        ]
        header = {"type": "text", "text": "h"}
        action = {"catalog_id": CATALOG, "sections": sections}
        content = {"type": "product_list", "header": header, "body": {"text": "b"}, "action": action}
        return TO | {"type": "interactive", "interactive": content}

    assert (await simulator.graph(several(["croissant", "unicorn"], ["unicorn"])))[0] == 200
    shown = (await simulator.chat(customer))[-1]["body"]["interactive"]["action"]["sections"]
    assert shown == [{"title": "s0", "product_items": [{"product_retailer_id": "croissant"}]}]
    assert code(await simulator.graph(several(["unicorn"]))) == (400, 131009)


async def test_takes_another_catalogue(simulator: Simulator) -> None:
    customer = await simulator.customer()
    await simulator.act(customer, {"text": "hello"})
    feed = b"id,title,price\nunicorn,Unicorn,9.50 EUR\n,no id,1 EUR\nbad,no price,?\n"
    assert await simulator.call("PUT", "/api/shops/boulangerie/catalogue", data=feed) == (200, {"products": 1})
    assert (await simulator.graph(TO | product("unicorn", "b")))[0] == 200
    assert code(await simulator.graph(TO | product("croissant", "b"))) == (400, 131009)


async def test_read_receipts_tick_all_messages_before(simulator: Simulator) -> None:
    customer = await simulator.customer()
    sent = [await simulator.act(customer, {"text": word}) for word in ("one", "two", "three")]
    receipt = {"messaging_product": "whatsapp", "status": "read", "message_id": sent[1]["wamid"]}
    typing = receipt | {"typing_indicator": {"type": "text"}}
    assert await simulator.graph(typing) == (200, {"success": True})
    states = [message["state"] for message in await simulator.chat(customer)]
    assert states[:2] == ["read", "read"]
    assert states[2] != "read"
    assert code(await simulator.graph(receipt | {"message_id": "wamid.unknown"})) == (400, 131009)


def test_pair_rate_lends_a_burst() -> None:
    rates, now = Rates(True, 0), time.time()
    for _ in range(PAIR_BURST):
        rates.take("n", "c", now)
    with pytest.raises(GraphError) as refusal:
        rates.take("n", "c", now)
    assert refusal.value.code == 131056
    rates.take("n", "other", now)
    rates.take("n", "c", now + PAIR_SECONDS)


def test_throughput_counts_both_directions() -> None:
    rates = Rates(False, 80)
    assert all(rates.count("n", 100.0) for _ in range(79))
    rates.take("n", "c", 100.0)
    with pytest.raises(GraphError) as refusal:
        rates.take("n", "c", 100.0)
    assert refusal.value.code == 130429
    rates.take("other", "c", 100.0)
    with pytest.raises(GraphError):
        rates.take("n", "c", 100.9)
    rates.take("n", "c", 101.0)


@given(st.integers(1, 100), st.lists(st.floats(0, 1.5), max_size=300))
def test_no_second_takes_more_than_the_limit(limit: int, gaps: list[float]) -> None:
    """Give or take the time on the way: after a pause as little as at any other time."""
    rates, now, taken = Rates(False, limit), 1000.0, []
    for gap in gaps:
        now += gap / limit
        if rates.count("n", now):
            taken.append(now)
    for first, last in zip(taken, taken[limit:], strict=False):
        assert last - first > 1.0 - WAY_SECONDS - 1e-3


def test_a_pace_within_the_limit_is_never_refused_however_it_is_read() -> None:
    rates = Rates(False, 80)
    for n in range(400):
        left = 1000.0 + n / 80
        assert rates.count("n", left + n % 4 * WAY_SECONDS / 4)
    for n in range(400, 800):  # read every third of a second, which the process knows
        assert rates.count("n", 1000.0 + (n // 27 + 1) * 27 / 80, held_up=27 / 80)


async def test_a_process_that_was_held_up_knows_it() -> None:
    stalls = Stalls()
    assert stalls.longest() == 0.0
    stalls.start()
    await asyncio.sleep(0.02)
    time.sleep(0.2)  # noqa: ASYNC251 - that is it
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        while stalls.longest() < 0.15:  # noqa: ASYNC110 - the next beat says it
            await asyncio.sleep(0.005)
    stalls.stop()


def test_a_message_that_one_limit_refuses_is_not_counted_by_the_other() -> None:
    rates = Rates(True, 1)
    rates.take("n", "c", 100.0)
    for _ in range(PAIR_BURST):
        with pytest.raises(GraphError, match="throughput"):
            rates.take("n", "c", 100.0)
    rates.take("n", "c", 101.0)
    rates.limits["n"] = 0
    for _ in range(PAIR_BURST - 2):
        rates.take("n", "c", 101.0)
    with pytest.raises(GraphError, match="this recipient"):
        rates.take("n", "c", 101.0)


async def test_media_can_be_uploaded_sent_and_fetched(simulator: Simulator) -> None:
    customer = await simulator.customer()
    await simulator.act(customer, {"text": "hello"})
    headers = {"Authorization": "Bearer token"}
    boundary = "frontier"
    form = (
        (
            f'--{boundary}\r\nContent-Disposition: form-data; name="messaging_product"\r\n\r\nwhatsapp\r\n'
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n'
            "Content-Type: image/png\r\n\r\n"
        ).encode()
        + b"\x89PNG\r\n\x00\xff"
        + f"\r\n--{boundary}--\r\n".encode()
    )
    typed = headers | {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    status, uploaded = await simulator.call("POST", f"/graph/v26.0/{NUMBER}/media", data=form, headers=typed)
    assert status == 200
    media_id = uploaded["id"]
    assert (await simulator.graph(TO | {"type": "image", "image": {"id": media_id}}))[0] == 200
    assert code(await simulator.graph(TO | {"type": "image", "image": {"id": "1"}})) == (400, 100)

    status, about = await simulator.call("GET", f"/graph/v26.0/{media_id}", headers=headers)
    assert (about["mime_type"], about["file_size"]) == ("image/png", 8)
    async with simulator.session.get(about["url"], headers=headers) as response:
        assert await response.read() == b"\x89PNG\r\n\x00\xff"
        assert response.headers["Content-Disposition"] == "attachment"
    assert (await simulator.call("DELETE", f"/graph/v26.0/{media_id}", headers=headers))[1] == {"success": True}
    assert code(await simulator.call("GET", f"/graph/v26.0/{media_id}", headers=headers)) == (400, 100)
