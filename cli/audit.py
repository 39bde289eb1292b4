#!/usr/bin/env python3
"""`make audit`: known vulnerabilities in what uv.lock names, and what is careless in the workflows of CI.

Asks osv.dev, which learns something new every day: so it is no part of `make check`, which must say the same of the
same sources for ever. Exits 0 when nothing is known, 1 when something is, 2 when osv.dev could not be asked.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from bootstrap import find_uv, uv_environment

ROOT = Path(__file__).resolve().parents[1]
COULD_NOT_ASK = 2


def main() -> int:
    env = uv_environment(os.environ, Path.home())
    uv = str(find_uv(os.environ, Path.home()))
    packages = subprocess.run(
        [uv, "audit", "--frozen", "--preview-features", "audit-command"], cwd=ROOT, env=env, check=False
    ).returncode
    if packages == COULD_NOT_ASK:
        print("audit: osv.dev was not asked; nothing is known of the packages", file=sys.stderr)
    zizmor = Path(sys.executable).parent / "zizmor"
    workflows = subprocess.run([zizmor, "--offline", "--quiet", ROOT / ".github"], check=False).returncode
    return packages or int(workflows != 0)


if __name__ == "__main__":
    sys.exit(main())
