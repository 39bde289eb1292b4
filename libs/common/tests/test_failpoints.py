"""Fail points: a process dies or stops at its place once, and only there."""

import os
import subprocess
import sys
import time
from pathlib import Path

PASSING = """
from panier_common import failpoints
failpoints.STOP_SECONDS = 0.5
for records in (0, 1, 2):
    failpoints.fail_point("before_commit", "cart.conversations", records)
    failpoints.fail_point("before_commit", "cart.shown", records)
print("passed")
"""


def _passed(point: str, marks: Path) -> tuple[int, str]:
    """How a process ended that passes the place with nothing, with one record and with two, and what it said."""
    env = {**os.environ, "PANIER_FAIL_POINTS": point, "PANIER_FAIL_MARKS": str(marks)}
    done = subprocess.run([sys.executable, "-c", PASSING], env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.strip()


def test_it_dies_there_once_and_never_again(tmp_path):
    point = "before_commit:cart.conversations:2"
    assert _passed(point, tmp_path) == (-9, "")
    assert (tmp_path / "before_commit:cart.conversations").read_text() == "2"
    assert _passed(point, tmp_path) == (0, "passed")


def test_it_stops_there_and_is_woken(tmp_path):
    began = time.monotonic()
    assert _passed("before_commit:cart.conversations:1:stop", tmp_path) == (0, "passed")
    assert time.monotonic() - began >= 0.5
    assert (tmp_path / "before_commit:cart.conversations").read_text() == "1"


def test_other_places_are_passed(tmp_path):
    assert _passed("after_publish:cart.conversations", tmp_path) == (0, "passed")
    assert list(tmp_path.iterdir()) == []
