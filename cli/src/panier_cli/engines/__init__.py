"""The broker and the database of a local stack or a test run: given, in containers, or our own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from panier_cli.children import Program

Tell = Callable[[str], None]
"""Where a line for people goes."""

Kind = Literal["setting", "testcontainers", "own"]


class EngineError(Exception):
    """No engine could be started; ``hint`` says what can be done about it."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True)
class Engine:
    """An engine that is there, or, with a program, that is there once the program runs.

    `siblings` are the further programs of an engine that is several of them.
    """

    name: str
    kind: Kind
    address: str  # host and port, without credentials
    url: str  # what a client connects to: bootstrap servers, or a URL with credentials
    choice: str  # one line: which one, and why
    answers: Callable[[], Awaitable[bool]]
    program: Program | None = None
    close: Callable[[], None] | None = None  # for engines that are not a program of ours
    siblings: tuple[Program, ...] = ()

    @property
    def programs(self) -> tuple[Program, ...]:
        """All that runs."""
        return () if self.program is None else (self.program, *self.siblings)


async def wait_until_answering(engine: Engine, seconds: float, alive: Callable[[], bool] = lambda: True) -> None:
    """Wait for an engine to answer; an error names its log when it does not or when its process ends."""
    deadline = time.monotonic() + seconds
    while not await engine.answers():
        where = f"see {engine.program.log}" if engine.program else f"is {engine.address} right?"
        if not alive():
            raise EngineError(f"{engine.name} ended while starting", where)
        if time.monotonic() > deadline:
            raise EngineError(f"{engine.name} does not answer after {seconds:.0f} s", where)
        await asyncio.sleep(0.05)
