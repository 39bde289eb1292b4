"""Runs the tests in groups, two at a time, each with engines of its own: `make test`.

What fails is run once more when all else is done, alone: on two busy cores a wait that is long enough elsewhere can
run out. Both are told. More than a few such tests are no chance, and are not tried again.
"""

import concurrent.futures
import json
import pathlib
import shutil
import subprocess
import sys
import time

CACHES = ".pytest_cache"
AT_ONCE = 2
TRIED_AGAIN = 3
FAILED = 1  # pytest's code for tests that ran and failed; others say that they could not run


def of(group: str) -> tuple[str, list[str]]:
    """A group's markers and paths: `markers:path path`, or a path of tests that start neither stack nor browser."""
    markers, found, paths = group.rpartition(":")
    return (markers if found else "not stack and not browser"), paths.split()


class Group:
    """One run of pytest; `failed` are the tests that failed in it."""

    def __init__(self, number: int, name: str) -> None:
        self.name = name
        self._cache = pathlib.Path(CACHES, f"group-{number}")

    def run(self, *options: str) -> int:
        """Its exit code; what it said is printed at its end, so that groups do not speak at once."""
        markers, paths = of(self.name)
        pytest = [sys.executable, "-m", "pytest", "-q", "-m", markers, "-o", f"cache_dir={self._cache}"]
        told = subprocess.run(
            [*pytest, *options, *paths], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        sys.stdout.buffer.write(f"{self.name}:\n".encode() + told.stdout)
        sys.stdout.flush()
        return told.returncode

    @property
    def failed(self) -> list[str]:
        found = self._cache / "v" / "cache" / "lastfailed"
        return sorted(json.loads(found.read_text("utf-8"))) if found.exists() else []


def main(names: list[str]) -> int:
    began = time.monotonic()
    shutil.rmtree(CACHES, ignore_errors=True)
    groups = [Group(number, name) for number, name in enumerate(names)]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        codes = dict(zip(groups, pool.map(Group.run, groups), strict=True))
    red = {group: group.failed for group, code in codes.items() if code}
    broken = [group.name for group in red if codes[group] != FAILED or not red[group]]
    again = [test for tests in red.values() for test in tests]
    if broken or len(again) > TRIED_AGAIN:
        print(f"not tried again: {', '.join(broken) or f'{len(again)} tests failed'}")
        return 1
    still = [group.name for group in red if group.run("--last-failed", "--last-failed-no-failures=none")]
    for test in again:
        print(f"failed beside others, run once more alone: {test}")
    print(f"{len(groups)} groups in {time.monotonic() - began:.0f} s; red: {', '.join(still) or 'none'}")
    return 1 if still else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
