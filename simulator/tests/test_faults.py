"""Faults: by share, by script, by setting; the same seed gives the same ones; each as it looks on the wire."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from panier_simulator.faults import ALL, NONE, REFUSALS, CallPlan, Faults, Injector, Scripted, read_faults
from pydantic import ValidationError

from .conftest import NUMBER, Door, Json, Simulator, running, settings, text, until

TO = {"messaging_product": "whatsapp", "to": "+33600000001"}
PAIRS = [(number, customer) for number in ("n1", "n2") for customer in ("c1", "c2", "c3")]


def fates(injector: Injector, pairs: list[tuple[str, str]], calls: int = 40) -> dict[tuple[str, str], list[Any]]:
    """What happens to each pair's calls and to the webhooks of each."""
    found: dict[tuple[str, str], list[Any]] = {pair: [] for pair in pairs}
    for _ in range(calls):
        for pair in pairs:
            plan = injector.call(*pair)
            hooks = [injector.webhook(plan.key, state) for state in ("sent", "delivered", "failed")]
            found[pair].append((plan, hooks))
    return found


MANY = Faults(
    seed=1, **dict.fromkeys([name for name, field in Faults.model_fields.items() if field.default == 0][1:], 0.3)
)


def test_the_same_seed_gives_the_same_faults_in_any_order_of_pairs() -> None:
    first = fates(Injector(MANY), PAIRS)
    assert fates(Injector(MANY), PAIRS[::-1]) == first
    assert fates(Injector(MANY.model_copy(update={"seed": 2})), PAIRS) != first


def test_a_fault_switched_on_leaves_the_others_where_they_were() -> None:
    alone = Injector(Faults(lost_answer=0.3))
    both = Injector(Faults(lost_answer=0.3, early=0.5))
    for _ in range(200):
        assert alone.call("n", "c").lost_answer == both.call("n", "c").lost_answer
    assert both.counts["early"] > 0


def test_shares_are_kept() -> None:
    injector = Injector(Faults(refused=0.1, missing=0.2, duplicated=0.25))
    plans = [injector.call("n", f"{n}") for n in range(4000)]
    refused = Counter(plan.refusal for plan in plans)
    assert 300 < 4000 - refused[None] < 500
    assert set(refused) == {None, *REFUSALS}
    copies = Counter(len(injector.webhook(plan.key, "sent")) for plan in plans)
    assert 650 < copies[0] < 950
    assert 600 < copies[2] < 1000


def test_failed_is_never_missing_and_no_faults_touch_nothing() -> None:
    assert len(Injector(Faults(missing=1)).webhook("k", "failed")) == 1
    assert Injector().call("n", "c") == CallPlan("")
    assert len(Injector().webhook("k", "sent")) == 1


def test_settings_are_read() -> None:
    assert read_faults("") == read_faults("none") == NONE
    assert read_faults(" all, seed=7, missing=0 ") == ALL.model_copy(update={"seed": 7, "missing": 0})
    assert read_faults("batch_updates=50").batch_updates == 50
    for wrong in ("some", "missing=2", "colour=0.1", "batch_updates=1001"):
        with pytest.raises(ValueError):
            read_faults(wrong)


def test_a_script_is_one_known_thing() -> None:
    for wrong in ({}, {"code": 1, "failed": 2}, {"code": 12345}, {"answer": "late"}):
        with pytest.raises(ValidationError):
            Scripted(**wrong)


async def conversation(simulator: Simulator) -> Json:
    customer = await simulator.customer()
    await simulator.act(customer, {"text": "hello"})
    return customer


async def use(simulator: Simulator, **faults: Any) -> None:
    status, answer = await simulator.call("PUT", "/api/faults", json=faults)
    assert status == 200, answer


async def script(simulator: Simulator, **what: Any) -> None:
    status, answer = await simulator.call("POST", "/api/faults/next", json=what)
    assert status == 201, answer


def callbacks(door: Door, state: str) -> list[str]:
    reports = [report for value in door.values() for report in value.get("statuses", [])]
    return [report.get("biz_opaque_callback_data", "") for report in reports if report["status"] == state]


async def test_a_scripted_refusal_strikes_only_whom_it_names(simulator: Simulator) -> None:
    await conversation(simulator)
    await script(simulator, code=131042, recipient="33600000001", times=2)
    await script(simulator, code=131031, recipient="33600000009")
    answers = [await simulator.graph(TO | text("x")) for _ in range(3)]
    assert [status for status, _ in answers] == [400, 400, 200]
    assert answers[0][1]["error"]["code"] == 131042
    struck = (await simulator.call("GET", "/api/faults"))[1]
    assert [left["code"] for left in struck["scripted"]] == [131031]
    refusals = (await simulator.call("GET", "/api/refusals"))[1]
    assert [(refusal["code"], refusal["injected"]) for refusal in refusals] == [(131042, True)] * 2
    counts = (await simulator.call("GET", "/api/counts"))[1]
    assert (counts["injected"], counts["refused"], counts["accepted"]) == ({"131042": 2}, {}, 1)
    assert (await simulator.call("DELETE", "/api/faults"))[1]["scripted"] == []


async def test_a_lost_answer_is_a_message_all_the_same(simulator: Simulator, door: Door) -> None:
    customer = await conversation(simulator)
    await script(simulator, answer="lost")
    with pytest.raises(TimeoutError):
        await simulator.call(
            "POST",
            f"/graph/v26.0/{NUMBER}/messages",
            json=TO | {"biz_opaque_callback_data": "m-1"} | text("hi"),
            headers={"Authorization": "Bearer t"},
            timeout=aiohttp.ClientTimeout(total=0.3),
        )
    await until(lambda: callbacks(door, "delivered") == ["m-1"])
    assert [message["direction"] for message in await simulator.chat(customer)] == ["in", "out"]


async def test_a_lost_answer_ends_after_its_time(simulator: Simulator) -> None:
    await conversation(simulator)
    await use(simulator, lost_answer=1, lost_answer_seconds=0.05)
    assert await simulator.graph(TO | text("hi")) == (504, "")


async def test_a_broken_answer_says_nothing_of_what_was_accepted(simulator: Simulator, door: Door) -> None:
    await conversation(simulator)
    await script(simulator, answer="broken")
    assert await simulator.graph(TO | {"biz_opaque_callback_data": "m-1"} | text("hi")) == (500, "")
    await until(lambda: callbacks(door, "sent") == ["m-1"])


async def test_a_refusal_of_metas_own_sends_nothing(simulator: Simulator, door: Door) -> None:
    customer = await conversation(simulator)
    await use(simulator, refused=1)
    codes = {(await simulator.graph(TO | text("hi")))[1]["error"]["code"] for _ in range(12)}
    assert codes <= set(REFUSALS)
    assert len(codes) > 1
    await use(simulator, unauthorized=1)
    status, answer = await simulator.graph(TO | text("hi"))
    assert (status, answer["error"]["code"]) == (401, 190)
    assert len(await simulator.chat(customer)) == 1


async def test_an_early_status_comes_before_the_answer(simulator: Simulator, door: Door) -> None:
    await conversation(simulator)
    await use(simulator, early=1)
    await simulator.graph(TO | {"biz_opaque_callback_data": "m-1"} | text("hi"))
    assert callbacks(door, "sent") == ["m-1"]


async def test_a_slow_answer_is_slow(simulator: Simulator) -> None:
    await conversation(simulator)
    await use(simulator, slow_seconds=0.2)
    await script(simulator, answer="slow")
    loop = asyncio.get_running_loop()
    started = loop.time()
    assert (await simulator.graph(TO | text("hi")))[0] == 200
    assert loop.time() - started >= 0.2


async def test_failed_follows_sent(simulator: Simulator, door: Door) -> None:
    customer = await conversation(simulator)
    await script(simulator, failed=131049)
    wamid = (await simulator.graph(TO | text("hi")))[1]["messages"][0]["id"]
    reports = await until(lambda: len(door.reports(wamid)) == 2 and door.reports(wamid))
    assert [report["status"] for report in reports] == ["sent", "failed"]
    assert reports[1]["errors"][0]["code"] == 131049
    assert (await simulator.chat(customer))[-1]["state"] == "failed"


async def test_duplicates_are_the_same_to_the_byte(simulator: Simulator, door: Door) -> None:
    await use(simulator, duplicated=1, delay_seconds=0.01)
    await conversation(simulator)
    await until(lambda: len(door.posts) == 2)
    assert door.posts[0] == door.posts[1]


async def test_missing_statuses_leave_the_message_where_it_is(simulator: Simulator, door: Door) -> None:
    await conversation(simulator)
    await use(simulator, missing=1)
    wamid = (await simulator.graph(TO | text("hi")))[1]["messages"][0]["id"]
    await until(lambda: simulator.exchange.store.message(wamid).state == "delivered")
    assert door.reports(wamid) == []
    assert (await simulator.call("GET", "/api/webhooks"))[1]["waiting"] == 0


async def test_reordered_statuses_are_overtaken(simulator: Simulator, door: Door) -> None:
    await conversation(simulator)
    await use(simulator, reordered=0.5, delay_seconds=0.3, seed=3)
    for n in range(8):
        await simulator.graph(TO | {"biz_opaque_callback_data": f"m-{n}"} | text("hi"))
    await until(lambda: len(callbacks(door, "sent")) == len(callbacks(door, "delivered")) == 8)
    orders = [[report["status"] for report in door.reports(wamid)] for wamid in wamids(door)]
    assert ["delivered", "sent"] in orders
    assert ["sent", "delivered"] in orders


def wamids(door: Door) -> set[str]:
    return {report["id"] for value in door.values() for report in value.get("statuses", [])}


async def test_late_statuses_wait_for_the_clock(simulator: Simulator, door: Door) -> None:
    await conversation(simulator)
    await use(simulator, late=1, late_seconds=3600)
    wamid = (await simulator.graph(TO | text("hi")))[1]["messages"][0]["id"]
    await until(lambda: simulator.exchange.courier.stats()["waiting"] == 2)
    assert door.reports(wamid) == []
    await simulator.call("POST", "/api/clock", json={"move_seconds": 3601})
    await until(lambda: len(door.reports(wamid)) == 2)


async def test_many_updates_come_in_one_request(simulator: Simulator, door: Door) -> None:
    await use(simulator, batch_updates=1000, batch_seconds=1)
    customers = [await simulator.customer(f"c{n}", f"3360000010{n}") for n in range(5)]
    await asyncio.gather(*(simulator.act(customer, {"text": "hello"}) for customer in customers))
    await until(door.posts.__len__)
    (value,) = door.values()
    assert len(value["messages"]) == len(value["contacts"]) == 5
    await asyncio.gather(*(simulator.graph({**TO, "to": f"+{one['wa_id']}", **text("hi")}) for one in customers))
    await until(lambda: len(door.posts) > 1 and len(wamids(door)) == 5)
    assert len(door.posts) <= 4
    assert {key for value in door.values() for key in value} == {
        *("messaging_product", "metadata", "contacts", "messages", "statuses"),
    }


async def test_a_refused_batch_is_tried_again_whole(simulator: Simulator, door: Door) -> None:
    door.statuses = [503]
    await use(simulator, batch_updates=1000, batch_seconds=1)
    customers = [await simulator.customer(f"c{n}", f"3360000010{n}") for n in range(3)]
    await asyncio.gather(*(simulator.act(customer, {"text": "hello"}) for customer in customers))
    await until(lambda: len(door.messages()) == 6)
    stats = (await simulator.call("GET", "/api/webhooks"))[1]
    assert (stats["retried"], stats["failing"], stats["requests"]) == (3, 0, 2)


async def test_faults_and_presets_by_api(simulator: Simulator) -> None:
    status, answer = await simulator.call("PUT", "/api/faults/all", json={"seed": 9})
    assert (status, answer["faults"]["seed"]) == (200, 9)
    assert answer["faults"]["missing"] == ALL.missing
    assert (await simulator.call("PUT", "/api/faults/some"))[0] == 404
    assert (await simulator.call("PUT", "/api/faults/all", json={"colour": 1}))[0] == 422
    assert (await simulator.call("PUT", "/api/faults", json={"missing": 3}))[0] == 422
    assert (await simulator.call("DELETE", "/api/faults"))[1]["faults"] == NONE.model_dump()


async def test_faults_outlast_a_restart_unless_the_setting_says_otherwise(tmp_path: Path, door: Door) -> None:
    async with running(settings(tmp_path, door)) as simulator:
        await use(simulator, missing=0.5, seed=4)
    async with running(settings(tmp_path, door)) as simulator:
        assert (await simulator.call("GET", "/api/faults"))[1]["faults"]["missing"] == 0.5
    async with running(settings(tmp_path, door, simulator_faults="seed=5")) as simulator:
        assert (await simulator.call("GET", "/api/faults"))[1]["faults"] == NONE.model_dump() | {"seed": 5}
