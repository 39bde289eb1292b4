"""Processes come and go in the order in which a cluster moves them, seen with small programs in their place."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from panier_cli.children import Program
from panier_cli.data_folder import DataFolder
from panier_cli.stack.keeper import Keeper
from panier_cli.stack.local import LocalStack, ServiceProcess
from panier_cli.stack.services import SERVICES
from panier_proof import orderly
from panier_proof.orderly import REPLACED, ROLLED, Operator
from panier_proof.screen import Screen

# Ready at once, and gone at the first SIGTERM.
_READY = """
import http.server, sys
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Ready).serve_forever()
"""


@dataclass
class Stack(LocalStack):
    """`counts`: the fewest and the most processes of each service, at any moment."""

    counts: dict[str, tuple[int, int]] = field(default_factory=dict)

    def publish(self) -> None:
        super().publish()
        self.note()

    def note(self) -> None:
        for name in (*ROLLED, *REPLACED):
            count = sum(process.service.name == name for process in self.processes)
            low, high = self.counts.get(name, (count, count))
            self.counts[name] = min(low, count), max(high, count)


@pytest.fixture
async def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stack]:
    monkeypatch.setattr(orderly, "_OLD_ENOUGH_SECONDS", 0.1)
    folder = DataFolder(tmp_path / "data")
    folder.hold()
    stack = Stack(folder, Screen(tmp_path / "log"), SERVICES, {})

    def start(process: ServiceProcess) -> None:
        command = ("python3", "-c", _READY, str(process.admin_port))
        process.keeper = Keeper(Program(process.service.name, command), stack.display.show, lambda: None)

    stack.start = start
    for name in (*ROLLED, *ROLLED, *REPLACED):  # two of each that may have two
        stack.add(name)
    stack.counts.clear()
    stack.note()
    yield stack
    await asyncio.gather(*(stack.remove(process) for process in list(stack.processes)))


async def test_a_roll_out_replaces_all_and_never_has_fewer_nor_two_more(stack: Stack) -> None:
    old = list(stack.processes)
    async with aiohttp.ClientSession() as session:
        operator = Operator(stack, session)
        await operator.roll()
    assert not [process for process in old if process in stack.processes]
    assert {name: stack.counts[name] for name in ROLLED} == dict.fromkeys(ROLLED, (2, 3))
    assert {name: stack.counts[name] for name in REPLACED} == dict.fromkeys(REPLACED, (0, 1)), (
        "two at once, or none new"
    )
    assert {one.loop for one in operator.away} == set(REPLACED)
    assert all(one.ended > one.began for one in operator.away)
    assert 0 < operator.longest_stop < 20


async def test_a_drain_takes_one_of_each_and_each_has_a_successor(stack: Stack) -> None:
    old = list(stack.processes)
    async with aiohttp.ClientSession() as session:
        await Operator(stack, session).drain()
    gone = [process.service.name for process in old if process not in stack.processes]
    assert sorted(gone) == sorted((*ROLLED, *REPLACED))
    assert len(stack.processes) == len(old)
    assert all(low >= 1 for name, (low, _) in stack.counts.items() if name in ROLLED)
