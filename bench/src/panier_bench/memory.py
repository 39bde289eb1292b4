"""Resident memory of each process of a running stack, in MB of 2^20 bytes."""

from typing import Any

import psutil

from panier_bench.figures import Tell, silent
from panier_bench.stack import Stack

MB = 2**20


async def measure(stack: Stack, *, tell: Tell = silent) -> dict[str, Any]:
    """Service → megabytes of each of its processes; the supervisor as `panier up`, the engines by program."""
    services = {service["name"]: service["pids"] for service in (await stack.status())["services"]}
    if not all(services.values()):
        raise SystemExit(f"not every service runs: {services}")
    result: dict[str, Any] = {name: [_resident(pid) for pid in pids] for name, pids in services.items()}
    result["panier up"] = [_resident(stack.pid)]
    ours = {pid for pids in services.values() for pid in pids}
    engines: dict[str, float] = {}
    for child in psutil.Process(stack.pid).children(recursive=True):
        name = child.name()
        if child.pid not in ours and name in {"java", "postgres"}:
            engines[name] = round(engines.get(name, 0) + _own(child), 1)
    largest = max(services, key=lambda name: max(result[name]))
    tell(f"memory: the largest service is {largest} with {max(result[largest])} MB")
    return {"services_mb": result, "engines_mb": engines}


def _resident(pid: int) -> float:
    return round(psutil.Process(pid).memory_info().rss / MB, 1)


def _own(process: psutil.Process) -> float:
    """Without what PostgreSQL's processes share, which would be counted with each."""
    info = process.memory_info()
    return (info.rss - getattr(info, "shared", 0)) / MB
