"""Repeated lines of libraries are counted, also those of the real ones while a real broker is away."""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from panier_cli import children
from panier_cli.engines import kafka, wait_until_answering
from panier_common.kafka import apply_topics
from panier_sales.repeats import EVERY_SECONDS, MOST_KINDS, Repeats

AWAY_SECONDS = 5.0


class Lines(logging.Handler):
    def __init__(self, repeats: Repeats) -> None:
        super().__init__()
        self.addFilter(repeats)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


class Log:
    """A logger, its lines, and a clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lines = Lines(Repeats(lambda: self.now))
        self.logger = logging.Logger("faust")
        self.logger.addHandler(self.lines)


@pytest.fixture
def log() -> Log:
    return Log()


def test_a_line_is_said_once_and_then_counted(log: Log) -> None:
    for n in range(300):
        log.now = n / 4
        log.logger.error("Unable connect to node with id %s: %s", n % 3, "refused")
    assert log.lines.said == [
        "Unable connect to node with id 0: refused",
        "Unable connect to node with id 0: refused (and 119 times more in 30 s)",
        "Unable connect to node with id 0: refused (and 119 times more in 30 s)",
    ]


def test_another_line_is_said_and_so_is_the_same_one_long_after(log: Log) -> None:
    for at in (0.0, 1.0, 100.0, 100.0 + EVERY_SECONDS):
        log.now = at
        log.logger.error("no broker for %d s" % int(at))  # noqa: UP031 - put together by the library
        log.logger.warning("no broker for %d s", int(at))
        log.logger.error("another")
    assert log.lines.said[:3] == ["no broker for 0 s", "no broker for 0 s", "another"]
    assert log.lines.said[3] == "no broker for 100 s (and 1 times more in 100 s)"
    assert log.lines.said[-1] == "another"
    assert len(log.lines.said) == 9


def test_kinds_of_lines_do_not_fill_the_memory(log: Log) -> None:
    for n in range(3 * MOST_KINDS):
        log.logger.error("".join(chr(97 + int(digit)) for digit in str(n)))
    assert len(log.lines.said) == 3 * MOST_KINDS
    assert len(vars(log.lines.filters[0])["_said"]) <= MOST_KINDS


async def test_a_broker_that_is_away_is_a_few_lines(tmp_path: Path) -> None:
    engine = kafka.prepare(tmp_path / "broker", lambda _: None, "")
    assert engine.program is not None
    broker = await children.spawn(engine.program)
    await wait_until_answering(engine, 60)
    await apply_topics(engine.url)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "PANIER_KAFKA_BOOTSTRAP_SERVERS": engine.url,
        "PANIER_ADMIN_TOKEN": "token",
        "PANIER_SALES_ADMIN_HOST": "127.0.0.1",
        "PANIER_SALES_ADMIN_PORT": str(port),
    }
    file = tmp_path / "log"
    with file.open("ab") as out:
        sales = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "panier_sales", env=environment, stdout=out, stderr=out
        )
    try:
        async with asyncio.timeout(60):
            while "started" not in file.read_text():  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.1)
        os.kill(broker.pid, signal.SIGKILL)
        await broker.wait()
        async with asyncio.timeout(30):
            while "Unable" not in file.read_text():  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        await asyncio.sleep(AWAY_SECONDS)  # as long as a flood takes to be one
        assert sales.returncode is None
    finally:
        for process in (sales, broker):
            if process.returncode is None:
                process.kill()
                await process.wait()
        children.forget(broker)
    lines = [msgspec.json.decode(line) for line in file.read_text().splitlines()]
    warned = Counter(line["event"] for line in lines if line["level"] in ("warning", "error"))
    assert 0 < sum(warned.values()) < 40, warned.most_common(3)
