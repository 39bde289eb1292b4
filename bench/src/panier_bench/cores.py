"""Which core does what, so that a server and what loads it do not take time from each other.

What is measured gets one core, everything else the others. Where the system cannot pin (macOS), or has one core,
nothing is done, and `pinned()` says so.
"""

import contextlib
import os
import sys
from collections.abc import Iterator


def _cores() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []


_ALL = _cores()


def pinned() -> bool:
    return len(_ALL) > 1


@contextlib.contextmanager
def measured() -> Iterator[None]:
    """Inside, this thread and the processes it starts are on the core of what is measured."""
    with _on(_ALL[:1]):
        yield


@contextlib.contextmanager
def others() -> Iterator[None]:
    """Inside, this thread and the processes it starts are on the cores of everything else."""
    with _on(_ALL[1:]):
        yield


@contextlib.contextmanager
def anywhere() -> Iterator[None]:
    """Inside, processes start on all cores: for what proves something and measures nothing."""
    with _on(_ALL):
        yield


@contextlib.contextmanager
def _on(cores: list[int]) -> Iterator[None]:
    if sys.platform != "linux" or not pinned():
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
