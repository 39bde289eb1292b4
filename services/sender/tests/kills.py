"""How often a message is sent twice when the sender is killed: `pytest -s` this file (100 kills, about five minutes).

Each life of the sender ends with SIGKILL at a fail point, between a call and its journal more often than not. Meta
reports most messages; of every tenth it never reports anything. What is reported may not be sent twice, the rest is
counted, nothing may be lost, and every customer's messages keep their order. `PANIER_KILLS` changes the number.
"""

import asyncio
import json
import os
import random
import subprocess
import time
import zlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.group import LeaveGroupRequest

GROUPS = ("panier.sender.numbers", "panier.sender.windows", "panier.sender.accounts")
KILLS = int(os.environ.get("PANIER_KILLS", "100"))
PLACES = ("after_call:sender", "before_commit:sender.numbers", "after_call:sender", "before_publish:sender.numbers")
MESSAGES = 30
# Customers are others after ten kills: of more than 44 messages the limit of a pair would be what is waited for.
CUSTOMERS, KILLS_EACH = 10, 10
DOUBT_SECONDS = "3"
LIFE_SECONDS = 60.0


def is_reported(message_id: str) -> bool:
    """Whether Meta reports of this message at all."""
    return zlib.crc32(message_id.encode()) % 10 != 0


@dataclass
class Meta:
    """Accepts every message and reports it a moment later, as long as anybody asks."""

    world: object
    chance: random.Random = field(default_factory=lambda: random.Random(2026))
    reports: list[asyncio.Task] = field(default_factory=list)

    async def answer(self, call) -> None:
        message_id = call.body["biz_opaque_callback_data"]
        if is_reported(message_id):
            self.reports.append(asyncio.create_task(self._report(message_id)))
        await asyncio.sleep(self.chance.uniform(0, 0.1))

    async def _report(self, message_id: str) -> None:
        await asyncio.sleep(self.chance.uniform(0.05, 1.0))
        await self.world.report(message_id)


async def live(world, place: str, marks: Path) -> int:
    """One life of the sender: it is asked for messages until it dies at that place; what was on its way then."""
    process = world.process(
        PANIER_SENDER_DOUBT_SECONDS=DOUBT_SECONDS, PANIER_FAIL_POINTS=place, PANIER_FAIL_MARKS=str(marks)
    )
    try:
        async with asyncio.timeout(LIFE_SECONDS):
            while process.poll() is None:  # noqa: ASYNC110 (the end of a process is not an event)
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"the sender did not come to {place}")
    finally:
        end(process)
    return on_its_way(marks)


async def bury(kafka: str) -> None:
    """Have the broker forget the killed process at once: it would wait 10 s for it, which is nothing to be shown."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        for group in GROUPS:
            coordinator = await admin.find_coordinator(group)
            for answer in await admin.describe_consumer_groups([group], coordinator):
                for member in answer.groups[0][5]:
                    await admin._send_request(LeaveGroupRequest(group, member[0]), coordinator)
    finally:
        await admin.close()


def on_its_way(marks: Path) -> int:
    mark = next(marks.iterdir(), None)
    assert mark is not None, "the sender ended by itself"
    return int(mark.read_text())


def end(process: subprocess.Popen) -> None:
    if process.poll() is None:
        process.terminate()
        process.wait(30)


@pytest.mark.timeout(3600)
async def test_what_is_sent_twice_over_many_kills(world, graph, until, tmp_path):
    meta, began = Meta(world), time.monotonic()
    graph.answer = meta.answer
    await world.configure()
    asked: dict[str, list[str]] = defaultdict(list)
    kills: Counter[str] = Counter()
    for n in range(KILLS):
        for m in range(MESSAGES):
            customer = f"336000{n // KILLS_EACH:03}{m % CUSTOMERS:02}"
            asked[customer].append(await world.ask(customer, f"{n:04}/{m:02}"))
        place = PLACES[n % len(PLACES)]
        marks = tmp_path / f"{n}"
        marks.mkdir()
        assert await live(world, place, marks) > 0, "nothing was on its way"
        kills[place] += 1
        await bury(world.kafka)
    last = world.process(PANIER_SENDER_DOUBT_SECONDS=DOUBT_SECONDS)
    try:
        every = [message_id for ids in asked.values() for message_id in ids]
        await until(lambda: {event.message_id for event in world.sent} >= set(every), 600)
    finally:
        end(last)
    await asyncio.gather(*meta.reports)
    report = judged(asked, graph, kills, time.monotonic() - began)
    print(json.dumps(report, indent=1))
    assert report["lost"] == 0
    assert report["reordered"] == 0
    assert report["twice_though_reported"] == 0


def judged(asked: dict[str, list[str]], graph, kills: Counter[str], seconds: float) -> dict:
    calls: dict[str, list[str]] = defaultdict(list)
    for call in graph.calls:
        calls[call.whom.lstrip("+")].append(call.body["biz_opaque_callback_data"])
    times = Counter(message_id for ids in calls.values() for message_id in ids)
    twice = [message_id for message_id, count in times.items() if count > 1]
    return {
        "kills": dict(kills),
        "messages": sum(map(len, asked.values())),
        "calls": len(graph.calls),
        "lost": sum(message_id not in times for ids in asked.values() for message_id in ids),
        "reordered": sum(list(dict.fromkeys(calls[customer])) != ids for customer, ids in asked.items()),
        "twice_though_reported": sum(map(is_reported, twice)),
        "twice_never_reported": sum(not is_reported(message_id) for message_id in twice),
        "never_reported": sum(not is_reported(message_id) for ids in asked.values() for message_id in ids),
        "seconds": round(seconds),
    }
