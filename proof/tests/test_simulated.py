"""The simulated proof in short: seeds find nothing, the same seed is the same history, and planted faults are found."""

import subprocess
import sys

import pytest
from panier_proof.simulated.bites import BITES, planted
from panier_proof.simulated.run import history, run
from panier_proof.simulated.shrink import shrunk


def test_customers_lose_nothing_while_processes_and_engines_die():
    result = run(history(3, 40, 8, 12.0))

    assert result.findings == []
    assert result.orders > 10
    assert sum(result.struck.values()) == 8


def test_the_same_seed_is_the_same_history():
    first, second = run(history(5, 6, 3, 5.0)), run(history(5, 6, 3, 5.0))

    assert first.steps == second.steps
    assert first.virtual_seconds == second.virtual_seconds
    assert first.ledger == second.ledger


@pytest.mark.parametrize("name", sorted(BITES))
def test_each_planted_fault_still_has_its_place(name: str):
    with planted(BITES[name]):
        pass


# What the product's promises stand on: three memories, the epoch, the drain of the outbox, acknowledgements, the
# reservation's look at the stock. The others are `make proof-bites-simulated`.
_GUARANTEES = (
    "wamids",
    "published_again",
    "positions",
    "epoch",
    "outbox_drain",
    "acknowledgements",
    "reservation",
)


@pytest.mark.timeout(600)  # a minute and a half of one core, and there may be less than one
def test_each_guarantee_switched_off_is_found():
    told = subprocess.run(
        [sys.executable, "-m", "panier_proof.simulated.bites", *_GUARANTEES],
        capture_output=True,
        text=True,
        check=False,
    )

    assert told.returncode == 0, told.stdout + told.stderr
    assert "0 not found" in told.stdout


def test_a_failing_history_is_shrunk_to_what_fails():
    long = history(1, 12, 6)
    culprit = long.scripts[7]

    short = shrunk(long, lambda some: any(script.name == culprit.name for script in some.scripts))

    assert [script.name for script in short.scripts] == [culprit.name]
    assert short.faults == ()
    assert short.scripts[0].steps == ()
