"""Engines for a test run: ``python -m panier_cli.engines --tests [--kafka] [--postgres]``.

Prints one JSON line with the addresses once the engines answer, and runs until standard input closes or a
signal says so. The data lives in a temporary folder and goes with it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import shutil
import signal
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from panier_cli import children
from panier_cli.engines import Engine, EngineError, choice, wait_until_answering

_READY_SECONDS = 180.0


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


async def _run(engine: Engine, cleanup: AsyncExitStack) -> None:
    """Start an own engine's programs and wait until it answers."""
    alive: list[asyncio.subprocess.Process] = []
    for program in engine.programs:
        process = await children.spawn(program)
        # The data goes with us: neither need leave it in order, but PostgreSQL must end its own children.
        first = signal.SIGQUIT if engine.name == "postgres" else signal.SIGKILL
        cleanup.push_async_callback(children.end, process, first, 10)
        alive.append(process)
    if engine.close is not None:
        cleanup.callback(engine.close)
    await wait_until_answering(engine, _READY_SECONDS, lambda: all(process.returncode is None for process in alive))


async def _until_told(stop: asyncio.Event) -> None:
    """Wait for a signal or for the end of standard input."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    closed = asyncio.ensure_future(reader.read())
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait({closed, stopped}, return_when=asyncio.FIRST_COMPLETED)
    closed.cancel()
    stopped.cancel()


def _last_words(folder: Path) -> str:
    """The end of each engine's log: the folder goes with us, so they are shown now."""
    logs = sorted(folder.glob("*/*.log")) + sorted(folder.glob("*/*.out"))
    return "\n".join(f"--- {log.name}\n{log.read_text('utf-8', 'replace')[-2000:]}" for log in logs)


async def _serve(folder: Path, wanted: list[str]) -> int:
    engines: list[Engine] = []
    async with AsyncExitStack() as cleanup:
        try:
            if "kafka" in wanted:
                engines.append(choice.choose_kafka(folder, _tell, tests=True))
            if "postgres" in wanted:
                engines.append(choice.choose_postgres(folder, secrets.token_hex(16), _tell, tests=True))
            await asyncio.gather(*(_run(engine, cleanup) for engine in engines))
        except EngineError as error:
            _tell(f"{error}; {error.hint}")
            _tell(_last_words(folder))
            return 1
        for engine in engines:
            _tell(engine.choice)
        print(json.dumps({e.name: {"kind": e.kind, "address": e.url} for e in engines}), flush=True)
        await _until_told(asyncio.Event())
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m panier_cli.engines", description=__doc__)
    parser.add_argument("--tests", action="store_true", required=True, help="engines for a test run")
    parser.add_argument("--kafka", action="store_true", help="only the broker")
    parser.add_argument("--postgres", action="store_true", help="only the database")
    given = vars(parser.parse_args())
    wanted = [name for name in ("kafka", "postgres") if given[name]] or ["kafka", "postgres"]
    folder = Path(tempfile.mkdtemp(prefix="panier-engines-"))
    try:
        return asyncio.run(_serve(folder, wanted))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
