"""A broker of our own with one more door, for clients that must show who they are; its plain one is the test's."""

import asyncio
import contextlib
import pathlib
import subprocess
from collections.abc import Iterator, Mapping

from panier_cli.engines import Engine, EngineError, wait_until_answering

START_SECONDS = 120


def add_door(engine: Engine, door: str, own: Mapping[str, str]) -> pathlib.Path:
    """Write the door (`NAME://host:port`) and these properties into the broker's configuration, which is returned."""
    assert engine.program is not None
    config = pathlib.Path(engine.program.argv[-1])
    kept = []
    for line in config.read_text("utf-8").splitlines():
        name, _, value = line.partition("=")
        if name == "listeners":
            kept.append(f"{line},{door}")
        elif name not in own:
            kept.append(f"{name}={value}")
    config.write_text("\n".join([*kept, *(f"{name}={value}" for name, value in own.items())]) + "\n", "utf-8")
    return config


@contextlib.contextmanager
def running(engine: Engine) -> Iterator[None]:
    """The broker while it runs, from when it answers at its plain door; what it wrote is shown when it does not."""
    assert engine.program is not None
    assert engine.program.log is not None
    log = engine.program.log
    with log.open("wb") as out:
        broker = subprocess.Popen(engine.program.argv, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        try:
            asyncio.run(wait_until_answering(engine, START_SECONDS, lambda: broker.poll() is None))
        except EngineError as error:
            raise AssertionError(f"{error}:\n{log.read_text('utf-8', 'replace')[-4000:]}") from None
        yield
    finally:
        broker.terminate()
        try:
            broker.wait(30)
        finally:
            broker.kill()
