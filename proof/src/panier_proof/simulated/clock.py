"""The simulated clock: while it is in force, the product's modules that ask for the time are told the scheduler's.

Nothing in the product knows of it: `time`, `datetime` and `uuid4` are looked up in each module, and those names are
what is replaced.
"""

import datetime as real_datetime
import sys
import time as real_time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

from panier_proof.simulated.scheduler import BEGAN, SimulatedLoop

_OURS = "panier_"
_NOT = ("panier_proof.simulated.clock", "panier_proof.simulated.run", "panier_proof.simulated.__main__")


def _datetime_of(loop: SimulatedLoop) -> Any:
    real = real_datetime.datetime

    class Meta(type):
        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, real)

        def __getattr__(cls, name: str) -> Any:
            return getattr(real, name)

        def __call__(cls, *arguments: Any, **options: Any) -> Any:
            return real(*arguments, **options)

    class SimulatedDatetime(metaclass=Meta):
        @staticmethod
        def now(tz: Any = None) -> Any:
            return real.fromtimestamp(BEGAN + loop.now, tz)

    return SimulatedDatetime


class _Time:
    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop

    def monotonic(self) -> float:
        return self._loop.now

    def time(self) -> float:
        return BEGAN + self._loop.now

    def __getattr__(self, name: str) -> Any:
        return getattr(real_time, name)


@contextmanager
def in_force(loop: SimulatedLoop, random: Random) -> Iterator[None]:
    """Every loaded module of ours goes by this clock until the end."""
    time, datetime = _Time(loop), _datetime_of(loop)
    replaced: list[tuple[Any, str, Any]] = []

    def replace(module: Any, name: str, of: Any, by: Any) -> None:
        if module.__dict__.get(name) is of:
            replaced.append((module, name, of))
            setattr(module, name, by)

    def uuid4() -> uuid.UUID:
        return uuid.UUID(int=random.getrandbits(128), version=4)

    for name, module in list(sys.modules.items()):
        if name.startswith(_OURS) and not name.startswith(_NOT):
            replace(module, "time", real_time, time)
            replace(module, "datetime", real_datetime.datetime, datetime)
            replace(module, "uuid4", uuid.uuid4, uuid4)
    try:
        yield
    finally:
        for module, name, value in replaced:
            setattr(module, name, value)
