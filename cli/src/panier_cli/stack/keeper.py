"""Keeps one program running: starts it again with back-off when it ends, until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable

from panier_cli import children
from panier_cli.children import Program

FIRST_DELAY = 0.2
LONGEST_DELAY = 10.0
ALIVE_SECONDS = 30.0


def next_delay(delay: float, lived: float) -> float:
    """How long to wait before the next start: doubling, from the beginning after a life that was long."""
    return FIRST_DELAY if lived >= ALIVE_SECONDS else min(delay * 2, LONGEST_DELAY)


class Keeper:
    """One kept program. ``show`` gets its lines and ours about it, ``changed`` each start and end."""

    def __init__(self, program: Program, show: Callable[[str, str], None], changed: Callable[[], None]) -> None:
        self.program = program
        self._show, self._changed = show, changed
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._running = asyncio.create_task(self._run(), name=f"keep {program.name}")

    @property
    def pid(self) -> int | None:
        """The process's number, while it is alive."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def stop(self, seconds: float) -> None:
        """Ask the program to end, wait that long, then end it."""
        self._stopping.set()
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(self.program.stop_signal)
            self._process.send_signal(signal.SIGCONT)  # one that somebody halted hears the first only then
        done, _ = await asyncio.wait({self._running}, timeout=seconds)
        if not done:
            self._show(self.program.name, f"did not stop within {seconds:.0f} s and is ended")
            if self._process is not None and self._process.returncode is None:
                self._process.kill()
        await self._running

    async def _run(self) -> None:
        delay = FIRST_DELAY / 2
        while not self._stopping.is_set():
            started = time.monotonic()
            status = await self._once()
            self._changed()
            if self._stopping.is_set():
                return
            delay = next_delay(delay, time.monotonic() - started)
            self._show(self.program.name, f"ended with {status}; starts again in {delay:.1f} s")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._stopping.wait()

    async def _once(self) -> int | str:
        """One life of the program; answers with how it ended."""
        try:
            process = self._process = await children.spawn(self.program)
        except OSError as error:
            return str(error)
        self._changed()
        if self._stopping.is_set():  # told to stop while it was being started
            process.send_signal(self.program.stop_signal)
        output = asyncio.create_task(self._pass_on(process.stdout)) if process.stdout is not None else None
        status = await process.wait()
        children.forget(process)
        # What the program itself had started must not outlive it, or the next life finds its ports taken.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        if output is not None:
            await output
        return status

    async def _pass_on(self, output: asyncio.StreamReader) -> None:
        """Show the program's lines until it closes its output."""
        while True:
            try:
                line = await output.readuntil(b"\n")
            except asyncio.IncompleteReadError as rest:
                line = rest.partial
            except asyncio.LimitOverrunError as overrun:
                line = await output.read(overrun.consumed)
            if not line:
                return
            self._show(self.program.name, line.decode("utf-8", "replace").rstrip("\n"))
