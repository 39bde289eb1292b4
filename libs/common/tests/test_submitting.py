"""What a service hands to its own loop: decided on, or given back; whoever waits for it is told in any case."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import panier_common.runner as runner_module
import pytest
from aiokafka import TopicPartition
from panier_common.homes import HomeLostError
from panier_common.kafka import Outgoing
from panier_common.postgres import Connection
from panier_common.topics import INBOUND

from .tally import Rang, Tally, conversation, eventually, heard_about, running, texts_of


class Failing(Tally):
    """A tally whose database takes nothing until it is well again."""

    def __init__(self) -> None:
        super().__init__()
        self.failed = asyncio.Event()
        self.is_well = False

    async def save(self, db: Connection, world: dict[str, list[str]]) -> None:
        if not self.is_well:
            self.failed.set()
            raise OSError("the database is away")
        await super().save(db, world)


async def _never(homes: Sequence[int]) -> None:
    await asyncio.Event().wait()


async def test_what_is_given_up_undecided_is_not_waited_for_for_ever(pool, broker, name, monkeypatch):
    """A rebalance while the database is away: the service's other work goes on once it is back."""
    monkeypatch.setattr(runner_module, "DRAIN_SECONDS", 0.3)
    tally, who = Failing(), conversation()
    async with running(replace(tally.loop(name), on_release=_never), pool, broker) as runner:
        await eventually("its homes", lambda: _homes(runner))
        first = asyncio.create_task(runner.submit([Rang(who)]))
        await asyncio.wait_for(tally.failed.wait(), 60)
        second = asyncio.create_task(runner.submit([Rang(who)]))
        await asyncio.sleep(0)
        partitions = [TopicPartition(INBOUND.name, n) for n in range(12)]
        await runner.on_partitions_revoked(partitions)
        with pytest.raises(HomeLostError):
            await asyncio.wait_for(second, 60)
        with suppress(HomeLostError):  # decided on or given back, as it happens
            await asyncio.wait_for(first, 60)
        tally.is_well = True
        await runner.on_partitions_assigned(partitions)
        await eventually("its homes", lambda: _homes(runner))
        await asyncio.wait_for(runner.submit([Rang(who)]), 60)
        await eventually("what was submitted then", texts_of(pool, who, 1))


async def test_what_is_on_its_way_outlives_who_waits_for_it(pool, broker, name, monkeypatch):
    """A rebalance while the broker is away: the wait is given up, and the homes can be taken again."""
    monkeypatch.setattr(runner_module, "DRAIN_SECONDS", 3.0)  # ample for a transaction: a slow machine has its pauses
    monkeypatch.setattr(runner_module, "RELEASE_SECONDS", 0.3)
    tally, who, is_back = Tally(), conversation(), asyncio.Event()
    async with running(replace(tally.loop(name), on_release=_never), pool, broker) as runner:
        await eventually("all that others said is read", lambda: _caught_up(runner))
        publish = runner._publisher.publish

        async def once_it_is_back(records: Sequence[Outgoing]) -> None:
            await is_back.wait()
            await publish(records)

        monkeypatch.setattr(runner._publisher, "publish", once_it_is_back)
        await runner.submit([Rang(who)])  # saved; what it says waits for the broker
        # For the one that drains to take: it waits for the publication before its own.
        runner._submitted.append(([Rang(who)], asyncio.get_running_loop().create_future()))
        partitions = [TopicPartition(INBOUND.name, n) for n in range(12)]
        await runner.on_partitions_revoked(partitions)
        is_back.set()
        await runner.on_partitions_assigned(partitions)
        await eventually("both said", lambda: _said(broker, who, 2))


async def _caught_up(runner: runner_module.Runner[dict[str, list[str]]]) -> bool:
    return bool(runner._homes) and runner.caught_up_since_start()


async def _said(broker: str, who: str, times: int) -> bool:
    return len({number for _, number in await heard_about(broker, who)}) == times


async def _homes(runner: runner_module.Runner[dict[str, list[str]]]) -> bool:
    return bool(runner._homes)
