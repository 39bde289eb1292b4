"""When a record counts as done: its change is in the changelog, and no recovery can have missed it."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from panier_sales.worker import Worker


class Counting:
    """A worker that has just counted one record, whose change is on its way to the changelog."""

    def __init__(self) -> None:
        self.change: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.acknowledged = False
        self.consumer = SimpleNamespace(turn=object())
        self._worker: Any = Worker.__new__(Worker)
        self._worker._app = SimpleNamespace(consumer=self.consumer)
        self._worker._days = SimpleNamespace(on_its_way={3: self.change})
        event: Any = SimpleNamespace(message=SimpleNamespace(partition=3), ack=self._ack)
        self._worker._acknowledge(event, self.consumer.turn)

    def _ack(self) -> None:
        self.acknowledged = True

    async def arrives(self) -> bool:
        """Whether the record is acknowledged once the broker has its change."""
        assert not self.acknowledged
        self.change.set_result(None)
        await asyncio.sleep(0)
        return self.acknowledged


async def test_a_record_is_done_when_the_broker_has_its_change() -> None:
    assert await Counting().arrives()


@pytest.mark.parametrize("later", [None, object()], ids=["while it is recovered", "after that"])
async def test_a_change_that_arrives_behind_a_rebalance_says_nothing_of_its_record(later: object | None) -> None:
    """Recovery may have asked where the changelog ends before it arrived: the record is to be read again."""
    counting = Counting()
    counting.consumer.turn = later
    assert not await counting.arrives()
