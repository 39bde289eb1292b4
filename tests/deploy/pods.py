"""What a rendered manifest gives a container, and a process that is given exactly that.

Only what a container has to itself is replaced: the ports listened on, and the folder where a volume is mounted.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass

from manifest_rules import Object, name_of, workloads
from panier_common.ports import free_port

READY_SECONDS = 240.0


@dataclass(frozen=True)
class Cluster:
    """What the manifests refer to, with values of this test: the ConfigMap's overridden, Secrets by (name, key).

    `volumes` has the folder of a volume by its name, of a projected one by the name of its last Secret.
    """

    objects: list[Object]
    settings: dict[str, str]
    secrets: dict[tuple[str, str], str]
    volumes: dict[str, pathlib.Path]

    def environment(self, workload: str) -> dict[str, str]:
        """The environment of the workload's container."""
        [pod] = [pod for name, _, pod in workloads(self.objects) if name == workload]
        [container] = pod["containers"]
        env: dict[str, str] = {}
        for source in container.get("envFrom", []):
            env |= self._all_of(source)
        env |= {one["name"]: self._value(one) for one in container["env"]}
        sources = {volume["name"]: self._source(volume) for volume in pod.get("volumes", [])}
        for mount in container.get("volumeMounts", []):
            path, folder = mount["mountPath"], self.volumes.get(sources[mount["name"]])
            if folder is not None:
                env = {k: v.replace(path, str(folder)) if f"{v}/".startswith(f"{path}/") else v for k, v in env.items()}
        # PATH is the image's; nothing of this machine's environment is passed on.
        return {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", **env}

    @staticmethod
    def _source(volume: Object) -> str:
        if "projected" in volume:
            return str(volume["projected"]["sources"][-1]["secret"]["name"])
        return str(volume["name"])

    def arguments(self, workload: str) -> list[str]:
        [pod] = [pod for name, _, pod in workloads(self.objects) if name == workload]
        return [str(one) for one in pod["containers"][0].get("args", [])]

    def _all_of(self, source: Object) -> dict[str, str]:
        if "secretRef" in source:
            name = source["secretRef"]["name"]
            return {key: value for (secret, key), value in self.secrets.items() if secret == name}
        [config] = [one for one in self.objects if name_of(one) == f"ConfigMap {source['configMapRef']['name']}"]
        return {key: self.settings.get(key, value) for key, value in config["data"].items()}

    def _value(self, env: Object) -> str:
        if "value" in env:
            return str(env["value"])
        if reference := env["valueFrom"].get("secretKeyRef"):
            return self.secrets[reference["name"], reference["key"]]
        reference = env["valueFrom"]["configMapKeyRef"]
        return self._all_of({"configMapRef": {"name": reference["name"]}})[reference["key"]]


class Running:
    """One service as its pod would run it."""

    def __init__(self, service: str, env: dict[str, str], folder: pathlib.Path) -> None:
        self.service, self.admin_port = service, free_port()
        ports = {f"PANIER_{service.upper()}_ADMIN_PORT": str(self.admin_port)}
        self.public_port = free_port()
        if service in ("ingest", "console"):
            ports[f"PANIER_{service.upper()}_PORT"] = str(self.public_port)
        self._log = folder / f"{service}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", f"panier_{service}"],
                env={**env, **ports},
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8", errors="replace")[-2000:]

    def why_not_ready(self) -> str | None:
        assert self.process.poll() is None, f"{self.service} ended: {self.log}"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/readyz", timeout=5):
                return None
        except urllib.error.HTTPError as error:
            return str(json.loads(error.read())["why"])
        except OSError as error:
            return f"does not answer ({type(error).__name__})"


def until_ready(services: Iterable[Running]) -> None:
    waiting: dict[Running, str] = dict.fromkeys(services, "not asked yet")
    until = time.monotonic() + READY_SECONDS
    while waiting:
        assert time.monotonic() < until, f"not ready: { {one.service: why for one, why in waiting.items()} }"
        time.sleep(0.2)
        reasons = {one: one.why_not_ready() for one in waiting}
        waiting = {one: why for one, why in reasons.items() if why is not None}


def stop_in_time(cluster: Cluster, services: Iterable[Running]) -> None:
    """SIGTERM for all, and each ends by itself within the grace of its pod."""
    stopped_at = time.monotonic()
    for one in services:
        one.process.send_signal(signal.SIGTERM)
    grace = {name: pod["terminationGracePeriodSeconds"] for name, _, pod in workloads(cluster.objects)}
    for one in services:
        left = grace[f"Deployment panier-{one.service}"] - (time.monotonic() - stopped_at)
        try:
            ended = one.process.wait(left)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{one.service} does not end: {one.log}") from None
        assert ended == 0, f"{one.service}: {one.log}"
