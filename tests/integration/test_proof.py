"""The short proof on real engines: a hundred customers shop while ten things break, every kind of them at least once.

Always the same plan here; `docs/proof` tells of larger ones and of other seeds.
"""

import json
import os
import pathlib
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1800)]

PLAN = ("--customers", "100", "--faults", "10", "--minutes", "3", "--seed", "1129")


def test_nothing_is_lost_doubled_reordered_or_oversold(tmp_path: pathlib.Path) -> None:
    env = {**os.environ, "PANIER_DATA": str(tmp_path), "COLUMNS": "160"}
    asked = [sys.executable, "-m", "panier_proof", *PLAN]
    done = subprocess.run(asked, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    report = json.loads((tmp_path / "proof" / "report.json").read_bytes())
    assert set(report["invariants"].values()) == {0}
    assert report["faults_struck"] == 10
    assert report["orders"] > 100
