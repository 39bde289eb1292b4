"""The whole local stack as a newcomer starts it, usually with a stand-in where Meta would be."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panier_common.ports import free_port

from panier_bench import graph, processes, webhooks
from panier_bench.graph import Graph

ROOT = Path(__file__).resolve().parents[3]
READY_SECONDS = 180.0
END_SECONDS = 60.0


@dataclass
class Stack:
    """A stack that is ready. `ingest` is the port of its door, `pid` its supervisor."""

    graph: Graph
    ingest: int
    pid: int
    env: dict[str, str]

    async def status(self) -> dict[str, Any]:
        return await _status(self.env) or {"services": []}


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[Stack]:
    """`panier up` with a stand-in where Meta would be, in a folder and on ports of its own."""
    async with graph.listening() as stand_in:
        settings = {
            "PANIER_GRAPH_URL": stand_in.url,
            "PANIER_META_APP_SECRET": webhooks.SECRET,
            "BOULANGERIE_TOKEN": "bench",
            # Of a number that Meta has upgraded: the usual limit is not what is measured.
            "PANIER_SENDER_MESSAGES_PER_SECOND": "1000",
        }
        async with started(settings) as (pid, env):
            yield Stack(stand_in, int(env["PANIER_INGEST_PORT"]), pid, env)


@contextlib.asynccontextmanager
async def started(settings: Mapping[str, str]) -> AsyncIterator[tuple[int, dict[str, str]]]:
    """`panier up` with these settings: its pid and whole environment; its log is shown when it does not come up."""
    with tempfile.TemporaryDirectory(prefix="panier-bench-") as folder:
        ports = {f"PANIER_{name}_PORT": str(free_port()) for name in ("INGEST", "CONSOLE", "SIMULATOR")}
        env = processes.environment({"PANIER_DATA": f"{folder}/data", **ports, **settings})
        log = Path(folder, "log")
        with log.open("wb") as out:  # noqa: ASYNC230 - nothing else runs here yet
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "panier_cli", "up"),
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        try:
            await _until_ready(process, env, log)
            yield process.pid, env
        finally:
            await _end(process)


async def _until_ready(process: asyncio.subprocess.Process, env: dict[str, str], log: Path) -> None:
    try:
        async with asyncio.timeout(READY_SECONDS):
            while process.returncode is None:
                status = await _status(env)
                if status is not None and status["services"] and all(s["ready"] for s in status["services"]):
                    return
                await asyncio.sleep(0.5)
    except TimeoutError:
        pass
    raise SystemExit(f"the stack did not come up:\n{log.read_text(errors='replace')[-4000:]}")  # noqa: ASYNC240


async def _status(env: dict[str, str]) -> dict[str, Any] | None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "panier_cli", "status", "--json"),
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    out, _ = await process.communicate()
    document: dict[str, Any] | None = json.loads(out) if out else None
    return document


async def _end(process: asyncio.subprocess.Process) -> None:
    """As Ctrl-C does."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    try:
        async with asyncio.timeout(END_SECONDS):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
