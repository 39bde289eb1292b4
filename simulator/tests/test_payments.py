"""The simulated payment provider: its page, its signed notifications, scripts in its place."""

import json
import uuid

from .conftest import PAYMENT_SECRET, Door, Simulator, interactive, signed, until

ORDER = "5b0e5a52-6a3e-4a53-9f0e-4e6c2b8d9a10"


async def test_the_page_shows_the_amount_and_tells_the_shop(simulator: Simulator, door: Door) -> None:
    status, page = await simulator.call("GET", f"/pay/EUR/880/{ORDER}")
    assert status == 200
    assert "8.80 EUR" in page
    assert ORDER in page
    form = {"state": "paid", "minor": "880", "currency": "EUR"}
    status, page = await simulator.call("POST", f"/pay/{ORDER}", data=form)
    assert status == 200
    assert "Paid. Thank you!" in page
    assert "The shop has been told." in page
    (notification,) = door.payments()
    uuid.UUID(notification.pop("id"))
    assert notification == {"order_id": ORDER, "state": "paid", "minor": 880, "currency": "EUR"}
    _, signature, body = door.posts[0]
    assert signature == signed(body, PAYMENT_SECRET)
    assert "Paid already." in (await simulator.call("GET", f"/pay/EUR/880/{ORDER}"))[1]


async def test_the_amount_may_come_from_the_newest_link(simulator: Simulator, door: Door) -> None:
    assert "Amount unknown" in (await simulator.call("GET", f"/pay/{ORDER}"))[1]
    await simulator.act(await simulator.customer(), {"text": "hello"})
    for minor in (500, 1200):
        url = f"https://pay.example/pay/JPY/{minor}/{ORDER}"
        parameters = {"display_text": "Payer", "url": url}
        body = {"messaging_product": "whatsapp", "to": "+33600000001"}
        link = interactive("cta_url", "b", {"name": "cta_url", "parameters": parameters})
        assert (await simulator.graph(body | link))[0] == 200
    assert "1,200 JPY" in (await simulator.call("GET", f"/pay/{ORDER}"))[1]


async def test_nothing_in_the_address_becomes_markup(simulator: Simulator) -> None:
    order = "%3Cscript%3Ealert(1)%3C%2Fscript%3E"
    status, page = await simulator.call("GET", f"/pay/%3Cb%3E/880/{order.replace('%2F', '')}")
    assert status == 200
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "<b>" not in page


async def test_scripts_pay_refuse_and_repeat(simulator: Simulator, door: Door) -> None:
    path = f"/api/payments/{ORDER}"
    failed = {"state": "failed", "minor": 880, "currency": "EUR"}
    assert (await simulator.call("POST", path, json=failed))[1]["told"] is True
    again = {"id": "n-1", "state": "paid", "minor": 880, "currency": "EUR"}
    for _ in range(2):
        assert (await simulator.call("POST", path, json=again))[1]["state"] == "paid"
    assert [(note["state"], note["id"]) for note in door.payments()][1:] == [("paid", "n-1")] * 2
    for wrong in ({}, failed | {"state": "maybe"}, failed | {"minor": -1}, failed | {"currency": "euro"}):
        assert (await simulator.call("POST", path, json=wrong))[0] == 422
    assert (await simulator.call("POST", f"/pay/{ORDER}", data={"state": "paid"}))[0] == 400


async def test_a_notification_is_tried_again(simulator: Simulator, door: Door) -> None:
    door.statuses = [503]
    await simulator.call("POST", f"/api/payments/{ORDER}", json={"state": "paid", "minor": 1, "currency": "EUR"})
    await until(lambda: len(door.payments()) == 2)
    first, second = (json.dumps(note, sort_keys=True) for note in door.payments())
    assert first == second
