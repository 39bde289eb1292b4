"""Starting a process that cannot outlive us.

On Linux the kernel ends a child when its parent dies. Elsewhere one guard process waits on a pipe that only
we hold open: when we die, however we die, the pipe closes and the guard ends what is left.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Program:
    """What to run, and how it is ended."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)  # on top of ours
    log: Path | None = None  # where its output goes; None: a pipe that the caller reads
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL  # what it gets when we die without a word
    user: int | None = None  # the user and group to run as, when not our own


def _die_with_parent(program: Program) -> Callable[[], None] | None:
    if _libc is None:
        return None
    libc, parent, number = _libc, os.getpid(), int(program.death_signal)

    def ask_kernel() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # the parent died between fork and prctl
            os._exit(1)

    return ask_kernel


class Guard:
    """Ends registered processes when this process is gone. For systems without a parent-death signal."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "panier_cli.guard"], stdin=subprocess.PIPE, start_new_session=True
        )

    def watch(self, pid: int, number: int) -> None:
        self._say(f"+{pid} {number}")

    def forget(self, pid: int) -> None:
        self._say(f"-{pid}")

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()


_guard: Guard | None = None


def guard() -> Guard | None:
    """The guard, started when first needed; None where the kernel does its work."""
    global _guard
    if _guard is None and _libc is None:
        _guard = Guard()
    return _guard


async def spawn(program: Program) -> asyncio.subprocess.Process:
    """Start a program in a session of its own, so that Ctrl-C at the terminal reaches only us.

    Must be called from the main thread: the parent-death signal follows the thread that forked.
    """
    options: dict[str, object] = {}
    if program.user is not None:
        options |= {"user": program.user, "group": program.user, "extra_groups": []}
    output: int = asyncio.subprocess.PIPE
    if program.log is not None:
        program.log.parent.mkdir(parents=True, exist_ok=True)
        output = os.open(program.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        process = await asyncio.create_subprocess_exec(
            *program.argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **program.env},
            start_new_session=True,
            preexec_fn=_die_with_parent(program),
            limit=1 << 20,
            **options,  # type: ignore[arg-type]
        )
    finally:
        if program.log is not None:
            os.close(output)
    if watcher := guard():
        watcher.watch(process.pid, int(program.death_signal))
    return process


async def end(process: asyncio.subprocess.Process, first: signal.Signals, seconds: float) -> None:
    """Ask a process to end, and end it when it does not."""
    if process.returncode is None:
        process.send_signal(first)
        try:
            async with asyncio.timeout(seconds):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
    forget(process)


def forget(process: asyncio.subprocess.Process) -> None:
    """Tell the guard, if there is one, that a process has ended and its number may be somebody else's."""
    if _guard is not None:
        _guard.forget(process.pid)
