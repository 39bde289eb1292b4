"""How `make test` runs its groups: what fails is tried once more alone, and stays red when it fails again."""

import os
import pathlib
import subprocess
import sys

import pytest

GROUPS = pathlib.Path(__file__).parents[1] / "groups.py"
PASSES = "def test_passes():\n    assert True\n"
FAILS = "def test_fails():\n    assert False\n"
FAILS_ONCE = """
import os
import pathlib
import pytest

@pytest.mark.parametrize("case", ["a b - c", "d"])
def test_fails_once(case):
    seen = pathlib.Path(f"seen {case}")
    if not seen.exists():
        seen.touch()
        raise AssertionError("the first time")
"""


def groups(folder: pathlib.Path, **tests: str) -> tuple[int, str]:
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n  stack:\n  browser:\n")
    for name, text in tests.items():
        (folder / f"test_{name}.py").write_text(text)
    names = [f"test_{name}.py" for name in tests]
    env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # half of the time would be other plugins' start
    command = [sys.executable, GROUPS, *names]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_what_fails_beside_others_is_told_and_tried_alone(tmp_path):
    code, told = groups(tmp_path, good=PASSES, chance=FAILS_ONCE)
    assert code == 0, told
    assert "AssertionError: the first time" in told
    for case in ("a b - c", "d"):
        assert f"failed beside others, run once more alone: test_chance.py::test_fails_once[{case}]" in told
    assert "2 groups" in told
    assert "red: none" in told


def test_what_fails_twice_is_red(tmp_path):
    code, told = groups(tmp_path, good=PASSES, chance=FAILS_ONCE, bad=FAILS)
    assert code == 1
    assert "red: test_bad.py" in told


@pytest.mark.parametrize("broken", [{"bad": "import nothing_of_that_name\n"}, {"empty": ""}])
def test_what_cannot_be_run_is_red_at_once(tmp_path, broken):
    code, told = groups(tmp_path, good=PASSES, **broken)
    assert code == 1, told
    assert "not tried again" in told


def test_many_failures_are_no_chance(tmp_path):
    many = "\n".join(FAILS.replace("fails", f"fails_{n}") for n in range(4))
    code, told = groups(tmp_path, many=many)
    assert code == 1
    assert "not tried again: 4 tests failed" in told
