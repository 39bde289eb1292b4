"""A control plane of Kubernetes without machines, on loopback: the real programs, with nodes and pods played by kwok.

Everything lives in one folder and ends with the context. It knows nothing of what is applied to it.
"""

import contextlib
import json
import os
import pathlib
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from panier_common.ports import free_port
from programs import cluster_pin, cluster_programs, module_folder

ZONES = ("a", "b", "c")
_NODES_OF_A_ZONE = 2
_TOKEN = "for-this-run-alone"
_PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Cluster:
    folder: pathlib.Path
    address: str
    programs: pathlib.Path

    def kubectl(self, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        command = [self.programs / "kubectl", "--kubeconfig", self.folder / "kubeconfig", *arguments]
        return subprocess.run(command, input=given, capture_output=True, text=True, check=False)

    def done(self, *arguments: str, given: str | None = None) -> str:
        """What kubectl prints; a refusal fails the test that asked."""
        told = self.kubectl(*arguments, given=given)
        assert told.returncode == 0, f"kubectl {' '.join(arguments)}: {told.stderr}"
        return told.stdout

    def read(self, path: str) -> Any:
        with self.open(path) as answer:
            return json.load(answer)

    def open(self, path: str, seconds: float = 30) -> Any:
        """An answer of the API server, to be read; also one that does not end, as a watch's does not."""
        asked = urllib.request.Request(f"{self.address}{path}", headers={"Authorization": f"Bearer {_TOKEN}"})
        trusted = ssl.create_default_context(cafile=self.folder / "certificates" / "apiserver.crt")
        return urllib.request.urlopen(asked, timeout=seconds, context=trusted)


def wait_until(what: str, holds: Any, seconds: float = _PATIENCE_SECONDS) -> None:
    """Until `holds()` is true; else fails, telling what it was."""
    until = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < until, f"{what}: not within {seconds:.0f} s ({found})"
        time.sleep(0.1)


@contextlib.contextmanager
def running(folder: pathlib.Path) -> Iterator[Cluster]:
    """A cluster of three zones with two nodes each."""
    programs = cluster_programs()
    etcd, port = f"http://127.0.0.1:{free_port()}", free_port()
    cluster = Cluster(folder, f"https://127.0.0.1:{port}", programs)
    _write_credentials(folder, cluster.address)
    with contextlib.ExitStack() as children:

        def start(name: str, **options: object) -> None:
            children.enter_context(_program(programs / name, folder, options))

        peers = f"http://127.0.0.1:{free_port()}"
        start("etcd", **_etcd(folder, etcd, peers))
        start("kube-apiserver", **_api_server(folder, etcd, port))
        wait_until("the API server is ready", lambda: _is_ready(cluster))
        known = {"kubeconfig": folder / "kubeconfig"}
        elected = {**known, "leader-elect": "false", "bind-address": "127.0.0.1"}
        key = folder / "accounts.key"
        authority = {"root-ca-file": folder / "certificates" / "apiserver.crt"}
        signer = {"service-account-private-key-file": key, **authority}
        start("kube-controller-manager", **elected, **signer, **{"secure-port": free_port()})
        start("kube-scheduler", **elected, **{"secure-port": free_port()})
        selector = {"manage-nodes-with-annotation-selector": "kwok.x-k8s.io/node=fake"}
        door = {"server-address": f"127.0.0.1:{free_port()}", "node-lease-duration-seconds": 40}
        start("kwok", **known, **selector, **door, config=_stages())
        cluster.done("apply", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": _nodes()}))
        yield cluster


def _stages() -> str:
    """What kwok plays of nodes and pods: all of it at once."""
    stages = module_folder(f"sigs.k8s.io/kwok@{cluster_pin('sigs.k8s.io/kwok')}") / "kustomize" / "stage"
    played = [stages / "node" / "fast", stages / "node" / "heartbeat-with-lease", stages / "pod" / "fast"]
    files = [path for folder in played for path in folder.glob("*.yaml") if path.name != "kustomization.yaml"]
    return ",".join(map(str, sorted(files)))


def _write_credentials(folder: pathlib.Path, address: str) -> None:
    (folder / "certificates").mkdir(parents=True)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    (folder / "accounts.key").write_bytes(private)
    (folder / "tokens.csv").write_text(f'{_TOKEN},admin,1,"system:masters"\n', encoding="utf-8")
    # The API server writes its certificate, which is its own authority, when it starts.
    server = {"server": address, "certificate-authority": str(folder / "certificates" / "apiserver.crt")}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "here", "cluster": server}],
        "users": [{"name": "admin", "user": {"token": _TOKEN}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "admin"}}],
    }
    (folder / "kubeconfig").write_text(json.dumps(document), encoding="utf-8")


def _etcd(folder: pathlib.Path, address: str, peers: str) -> dict[str, object]:
    return {
        "data-dir": folder / "etcd",
        "listen-client-urls": address,
        "advertise-client-urls": address,
        "listen-peer-urls": peers,
        "initial-advertise-peer-urls": peers,
        "initial-cluster": f"default={peers}",
        "unsafe-no-fsync": "true",
    }


def _api_server(folder: pathlib.Path, etcd: str, port: int) -> dict[str, object]:
    return {
        "etcd-servers": etcd,
        "secure-port": port,
        "bind-address": "127.0.0.1",
        "cert-dir": folder / "certificates",
        "token-auth-file": folder / "tokens.csv",
        "authorization-mode": "RBAC",
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": folder / "accounts.key",
        "service-account-signing-key-file": folder / "accounts.key",
        "service-cluster-ip-range": "10.96.0.0/16",
    }


@contextlib.contextmanager
def _program(path: pathlib.Path, folder: pathlib.Path, options: dict[str, object]) -> Iterator[None]:
    """Runs with these options and ends with the context; its log is in the folder."""
    with (folder / f"{path.name}.log").open("wb") as log:
        command = [path, *(f"--{name}={value}" for name, value in options.items())]
        env = {"PATH": os.environ["PATH"], "HOME": str(folder)}
        process = subprocess.Popen(command, stdout=log, stderr=log, env=env, cwd=folder)
    try:
        yield
        assert process.poll() is None, f"{path.name} ended by itself: {folder / path.name}.log"
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_ready(cluster: Cluster) -> bool:
    try:
        with cluster.open("/readyz", 2) as answer:
            return bool(answer.read() == b"ok")
    except (OSError, urllib.error.URLError):
        return False


def _nodes() -> list[dict[str, Any]]:
    room = {"cpu": "16", "memory": "64Gi", "pods": "110"}
    return [
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": f"{zone}{number}",
                "annotations": {"kwok.x-k8s.io/node": "fake"},
                "labels": {
                    "topology.kubernetes.io/zone": zone,
                    "kubernetes.io/hostname": f"{zone}{number}",
                    "kubernetes.io/os": "linux",
                    "kubernetes.io/arch": "amd64",
                },
            },
            "status": {"allocatable": room, "capacity": room},
        }
        for zone in ZONES
        for number in range(1, 1 + _NODES_OF_A_ZONE)
    ]
