"""How long a program that ends is left alone before it is started again."""

import asyncio
import sys

import psutil
import pytest
from panier_cli.children import Program
from panier_cli.stack.keeper import FIRST_DELAY, LONGEST_DELAY, Keeper, next_delay


@pytest.mark.parametrize(
    ("delay", "lived", "expected"),
    [
        (0.1, 0.0, FIRST_DELAY),
        (0.2, 1.0, 0.4),
        (6.4, 29.0, LONGEST_DELAY),
        (LONGEST_DELAY, 30.0, FIRST_DELAY),
    ],
)
def test_waits_twice_as_long_each_time_until_a_long_life(delay: float, lived: float, expected: float) -> None:
    assert next_delay(delay, lived) == pytest.approx(expected)


async def test_shows_lines_that_never_end_and_lines_that_are_no_text() -> None:
    """A program's output is shown whole, whatever it is, and never stops the keeper."""
    script = "import sys; b = sys.stdout.buffer; b.write(b'x' * 3_000_000 + b'\\n\\xff\\nlast'); b.flush()"
    lines: list[str] = []
    ended = asyncio.Event()

    def show(_: str, line: str) -> None:
        lines.append(line)
        if line.startswith("ended with 0"):
            ended.set()

    keeper = Keeper(Program("loud", (sys.executable, "-c", script)), show, lambda: None)
    await asyncio.wait_for(ended.wait(), 30)
    await keeper.stop(5)
    assert sum(len(line) for line in lines if line.startswith("x")) == 3_000_000
    assert "\ufffd" in lines
    assert "last" in lines


async def test_a_halted_program_stops_as_fast_as_another() -> None:
    """Halted by SIGSTOP, it hears that it is to stop only when it goes on."""
    script = "import os, signal, time; print('up', flush=True); os.kill(os.getpid(), signal.SIGSTOP); time.sleep(600)"
    lines: list[str] = []
    keeper = Keeper(Program("halted", (sys.executable, "-c", script)), lambda _, line: lines.append(line), lambda: None)
    async with asyncio.timeout(30):
        while keeper.pid is None or psutil.Process(keeper.pid).status() != psutil.STATUS_STOPPED:  # noqa: ASYNC110 - it halts itself
            await asyncio.sleep(0.02)
    await keeper.stop(20)
    assert not any("did not stop" in line for line in lines)
