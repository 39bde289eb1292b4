"""`python -m panier_bench [NAME…]`: runs the benchmarks, prints a table and writes `bench/results`."""

import json
import logging
import os
import platform
import sys
from datetime import UTC, datetime
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from panier_bench import ingest, memory, reply, runner, sender, stack
from panier_bench.engines import engines, topics

RESULTS = Path(__file__).resolve().parents[2] / "results"
LIBRARIES = ("aiohttp", "aiokafka", "asyncpg", "fastapi", "httptools", "msgspec", "uvicorn", "uvloop")


class Name(StrEnum):
    INGEST = "ingest"
    RUNNER = "runner"
    SENDER = "sender"
    REPLY = "reply"
    MEMORY = "memory"


progress = Console(stderr=True, highlight=False)


async def measure(names: set[Name], *, rounds: int = 5) -> dict[str, Any]:
    """The document of the results, with what was asked for."""
    document: dict[str, Any] = {"machine": machine(), "at": datetime.now(UTC).isoformat(timespec="seconds")}
    for name, part in ((Name.INGEST, ingest), (Name.RUNNER, runner), (Name.SENDER, sender)):
        if name in names:
            # Engines of its own: what one part leaves in the topics is not read by the next.
            with progress.status(name.value), engines() as found:
                await topics(found)
                document["engines"] = {**found.kinds, "postgres_version": await found.postgres_version()}
                document[name.value] = await part.measure(found, rounds=rounds, tell=progress.print)
    if names & {Name.REPLY, Name.MEMORY}:
        with progress.status("the local stack"):
            async with stack.running() as running:
                if Name.REPLY in names:
                    document["reply"] = await reply.measure(running, tell=progress.print)
                if Name.MEMORY in names:
                    document["memory"] = await memory.measure(running, tell=progress.print)
    document["versions"] = {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}
    return document


def machine() -> dict[str, Any]:
    """What it ran on, and how busy that was with other things when it began."""
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def write(document: dict[str, Any], results: Path, *, whole: bool) -> list[Path]:
    """A file with the time in its name, and `latest.json` when nothing was left out."""
    results.mkdir(parents=True, exist_ok=True)
    stamp = datetime.fromisoformat(document["at"]).strftime("%Y%m%dT%H%M%SZ")
    files = [results / f"{stamp}.json", *([results / "latest.json"] if whole else [])]
    for file in files:
        file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return files


def _between(spread: dict[str, float]) -> str:
    return f"{spread['least']:.2f} - {spread['most']:.2f}"


def table(document: dict[str, Any]) -> Table:
    made = Table("measured", "result", "bare", "ratio", "spread of the rounds", title="Panier's benchmarks")
    for name, unit, key in (("ingest", "requests/s", "per_second"), ("sender", "messages/s", "messages_per_second")):
        if part := document.get(name):
            bare, ratio = f"{part['bare_per_second']:,}", f"{part['ratio']:.2f}"
            made.add_row(name, f"{part[key]:,} {unit}", bare, ratio, _between(part["spread"]["ratio"]))
    if part := document.get("ingest"):
        if many := part.get("many"):
            spread, what = many["spread"]["ratio"], f"  over {many['connections']} connections"
            bare, ratio = f"{many['bare_per_second']:,}", f"{many['ratio']:.2f}"
            made.add_row(what, f"{many['per_second']:,} requests/s", bare, ratio, _between(spread))
        made.add_row("  at half of that", f"p50 {part['p50_ms']} ms, p99 {part['p99_ms']} ms")
    if part := document.get("runner"):
        spread = part["spread"]["events_per_second"]
        rounds = f"{spread['least']:,} - {spread['most']:,}/s"
        made.add_row("runner", f"{part['events_per_second']:,} events/s", "", "", rounds)
        made.add_row("  statements a batch", str(part["statements_per_batch"]))
    if part := document.get("reply"):
        idle = part["idle"]
        made.add_row("reply, idle", f"p50 {idle['p50_ms']} ms, p99 {idle['p99_ms']} ms")
        made.add_row(f"reply at {part['rate']:g}/s", f"p50 {part['p50_ms']} ms, p99 {part['p99_ms']} ms")
    for name, resident in document.get("memory", {}).get("services_mb", {}).items():
        made.add_row(f"memory of {name}", ", ".join(f"{mb:.0f} MB" for mb in resident))
    return made


def run(
    names: Annotated[list[Name] | None, typer.Argument(help="Which to run; all when none is named.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of each side.")] = 5,
    results: Annotated[Path, typer.Option(help="Folder of the JSON files.")] = RESULTS,
) -> None:
    """Measure, each against something bare in the same minutes where there is such a thing."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # fresh topics have no leader for a moment
    chosen = set(names or Name)
    document = uvloop.run(measure(chosen, rounds=rounds))
    Console().print(table(document))
    for file in write(document, results, whole=chosen == set(Name)):
        progress.print(f"written: {file}")


if __name__ == "__main__":
    typer.run(run)
