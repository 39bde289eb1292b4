"""Ending tasks for certain."""

import asyncio
from collections.abc import Iterable
from typing import Any

import structlog

AGAIN_SECONDS = 1.0
CANCELLATIONS = 5

log = structlog.get_logger()


async def cancelled(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    """Have them end, whatever they end with; what does not within seconds is logged and left.

    Asked again and again: before Python 3.12 `asyncio.wait_for`, which libraries use, loses a cancellation that comes
    in the moment of its answer.
    """
    left = {task for task in tasks if not task.done()}
    for _ in range(CANCELLATIONS):
        if not left:
            return
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN_SECONDS)
    if left:
        log.error("tasks do not end", tasks=sorted(task.get_name() for task in left))
