"""Tasks that are told to end do end, also when what they wait for comes in that moment."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from panier_common import kafka, tasks
from panier_common.process import Process
from panier_common.settings import ServiceSettings


class Client:
    """A connection to a broker that answers when it is told to."""

    def __init__(self, **_: Any) -> None:
        self.asked = 0

    async def bootstrap(self) -> None: ...

    async def close(self) -> None: ...

    async def force_metadata_update(self) -> bool:
        self.asked += 1
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.answer = answer
        return await answer


@pytest.mark.parametrize("turns", range(5))
async def test_who_watches_the_broker_ends_in_the_moment_of_its_answer(
    turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client()
    monkeypatch.setattr(kafka, "AIOKafkaClient", lambda **_: client)
    task = asyncio.create_task(kafka.watch("127.0.0.1:1", "test", lambda answers: None))
    while not client.asked:  # noqa: ASYNC110
        await asyncio.sleep(0)
    client.answer.set_result(True)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task], timeout=1)
    assert task.cancelled()


async def test_a_lost_cancellation_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "AGAIN_SECONDS", 0.01)
    lost = 0

    async def deaf() -> None:
        nonlocal lost
        while lost < 3:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)
            lost += 1
        await asyncio.sleep(3600)

    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    await tasks.cancelled([task])
    assert (task.cancelled(), lost) == (True, 3)


async def test_what_never_ends_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "AGAIN_SECONDS", 0.01)
    told = asyncio.Event()

    async def stubborn() -> None:
        while not told.is_set():
            with suppress(asyncio.CancelledError):
                await told.wait()

    async def died() -> None:
        raise ValueError("of itself")

    task, other = asyncio.create_task(stubborn()), asyncio.create_task(died())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await tasks.cancelled([task, other])
    assert (task.done(), type(other.exception())) == (False, ValueError)
    told.set()
    await task


async def test_what_drains_ends_before_any_task_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests in flight are answered by what the tasks do; and tasks are cancelled again and again."""
    monkeypatch.setattr(tasks, "AGAIN_SECONDS", 0.01)
    settings = {"PANIER_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "PANIER_ADMIN_TOKEN": "admin"}
    process = Process("ingest", ServiceSettings.model_validate(settings))
    story = []

    async def publish() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            story.append("cancelled")

    async def answer_all() -> None:
        await asyncio.sleep(0.2)
        story.append("answered")

    process.add_task("publisher", publish())
    process.add_drain(answer_all)
    process._stop.set()
    await process._until_stopped()
    assert story == ["answered", "cancelled"]
