"""Ending long work by a signal: the first one cancels it, and what it started is stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from typing import Any


async def until_stopped(work: Coroutine[Any, Any, None]) -> bool:
    """Run the work until it ends or a signal comes; whether it came to its own end."""
    loop, task = asyncio.get_running_loop(), asyncio.create_task(work)
    stopping = False

    def stop() -> None:
        # Only the first signal counts: a second Ctrl-C must not leave half of the processes behind.
        nonlocal stopping
        if not stopping:
            stopping = True
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return not stopping
