"""The clock that can be moved: seven days of retries in a test, windows that close, states that a restart keeps."""

import asyncio
import time
from itertools import pairwise
from pathlib import Path

import pytest
from panier_simulator.clock import Clock

from .conftest import Door, Simulator, running, settings, text, until

DAY = 86_400
TO = {"messaging_product": "whatsapp", "to": "+33600000001"}


async def move(simulator: Simulator, seconds: float) -> None:
    status, answer = await simulator.call("POST", "/api/clock", json={"move_seconds": seconds})
    assert status == 200, answer


async def test_does_what_is_due_in_order() -> None:
    clock, done = Clock(), []
    now = clock.now()
    for name, at in (("late", 900), ("early", 300), ("never", 5000)):
        clock.call_at(now + at, lambda name=name: done.append(name))
    clock.call_at(now - 1, lambda: done.append("past"))
    await asyncio.sleep(0.01)
    assert done == ["past"]
    clock.move(1000)
    await until(lambda: done == ["past", "early", "late"], 1)
    assert 999 < clock.now() - time.time() < 1001
    clock.stop()
    clock.move(9000)
    await asyncio.sleep(0.01)
    assert done == ["past", "early", "late"]
    with pytest.raises(ValueError):
        clock.move(-1)


async def test_one_that_raises_stops_no_other() -> None:
    clock, done, raised = Clock(), [], []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: raised.append(context["exception"]))
    try:
        clock.call_at(0, lambda: 1 / 0)
        clock.call_at(0, lambda: done.append("second"))
        await until(lambda: done, 1)
    finally:
        loop.set_exception_handler(None)
    assert [type(error) for error in raised] == [ZeroDivisionError]


async def test_retries_go_on_for_seven_days_and_then_end(simulator: Simulator, door: Door) -> None:
    """Every attempt follows its own wait on the moved clock, ever more rarely, and the eighth day has none."""
    door.statuses = [503] * 10_000
    await simulator.act(await simulator.customer(), {"text": "hello"})
    courier = simulator.exchange.courier
    started, attempts = simulator.exchange.clock.now(), []
    while courier.stats()["waiting"]:
        attempts.append(simulator.exchange.clock.now() - started)
        tried = courier.counts.attempts + 1
        (hook,) = simulator.exchange.store.hooks()
        await move(simulator, max(0.0, hook.due_at - simulator.exchange.clock.now()))
        await until(lambda tried=tried: courier.counts.attempts >= tried or not courier.stats()["waiting"])
        await until(lambda: not courier._tasks)
    assert courier.stats()["dropped"] == 1
    assert 6.9 * DAY < attempts[-1] < 7 * DAY
    waits = [after - before for before, after in pairwise(attempts)]
    assert waits[-1] > 2000 > waits[3]
    assert len(attempts) < 300


async def test_what_was_refused_for_days_arrives_after_a_restart(tmp_path: Path, door: Door) -> None:
    door.statuses = [503] * 10_000
    async with running(settings(tmp_path, door)) as simulator:
        await simulator.act(await simulator.customer(), {"text": "hello"})
        await until(lambda: door.posts)
        for _ in range(5):
            await move(simulator, DAY / 2)
            await until(lambda: not simulator.exchange.courier._tasks)
    door.statuses, before = [], len(door.messages())
    async with running(settings(tmp_path, door)) as simulator:
        clock = (await simulator.call("GET", "/api/clock"))[1]
        assert clock["ahead_seconds"] == 2.5 * DAY
        await move(simulator, 3700)
        await until(lambda: len(door.messages()) > before)
        await until(lambda: simulator.exchange.courier.stats()["waiting"] == 0)


async def test_the_window_closes_and_a_receipt_gets_too_old(simulator: Simulator) -> None:
    message = await simulator.act(await simulator.customer(), {"text": "hello"})
    assert (await simulator.graph(TO | text("hi")))[0] == 200
    await move(simulator, DAY + 1)
    status, answer = await simulator.graph(TO | text("hi"))
    assert (status, answer["error"]["code"]) == (400, 131047)
    receipt = {"messaging_product": "whatsapp", "status": "read", "message_id": message["wamid"]}
    assert (await simulator.graph(receipt))[0] == 200
    await move(simulator, 30 * DAY)
    assert (await simulator.graph(receipt))[1]["error"]["code"] == 131009


async def test_the_clock_only_goes_forward(simulator: Simulator) -> None:
    assert (await simulator.call("POST", "/api/clock", json={"move_seconds": -1}))[0] == 422
