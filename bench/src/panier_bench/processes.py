"""Processes under measurement: started on their core, waited for, ended in order."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import aiohttp
from panier_common.ports import free_port

from panier_bench import cores

Where = Callable[[], AbstractContextManager[None]]
READY_SECONDS = 90.0
END_SECONDS = 25.0


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's, with these settings and no others of ours: what a user has set must not be measured."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PANIER_", "OTEL_"))}
    return kept | dict(settings)


@contextlib.asynccontextmanager
async def running(
    module: str, *words: str, settings: Mapping[str, str] | None = None, where: Where = cores.measured
) -> AsyncIterator[int]:
    """`python -m module` on the core of what is measured; its pid. SIGTERM ends it, and how it ended is judged."""
    with where():
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, *words, env=environment(settings or {}), stdout=asyncio.subprocess.DEVNULL
        )
    try:
        yield process.pid
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(END_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


@contextlib.asynccontextmanager
async def service(
    name: str, settings: Mapping[str, str], where: Where = cores.measured, module: str = ""
) -> AsyncIterator[int]:
    """One of our services, ready; its pid. `module` is what to start in the place of the service's own."""
    port = free_port()
    told = {
        "PANIER_ADMIN_TOKEN": "bench",
        "PANIER_LOG_LEVEL": "WARNING",
        f"PANIER_{name.upper()}_ADMIN_HOST": "127.0.0.1",
        f"PANIER_{name.upper()}_ADMIN_PORT": str(port),
        **settings,
    }
    async with running(module or f"panier_{name}", settings=told, where=where) as pid:
        await until_ready(f"http://127.0.0.1:{port}/readyz", pid)
        yield pid


async def until_ready(url: str, pid: int) -> None:
    """Until that address answers 200; raises TimeoutError with what it said last."""
    said = "nothing"
    async with aiohttp.ClientSession() as session:
        try:
            async with asyncio.timeout(READY_SECONDS):
                while True:
                    with contextlib.suppress(aiohttp.ClientError):
                        async with session.get(url) as answer:
                            said = await answer.text()
                            if answer.status == 200:
                                return
                    if not _alive(pid):
                        raise SystemExit(f"the process behind {url} ended before it was ready: see above")
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise TimeoutError(f"{url} is not ready: {said}") from None


def _alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    if status.exists():
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return sys.platform != "linux"
    return False
