"""Each job and each service with exactly the environment that its rendered manifest gives it.

On a real Kafka and a real PostgreSQL, whose databases are made by the script that docker-compose.yml uses. Only
what a container has to itself is replaced: the ports listened on, and the folder where a volume is mounted.
"""

import asyncio
import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import asyncpg
import pytest
from known_settings import SERVICES, WITH_DATABASE
from manifest_rules import Object, name_of, workloads
from panier_cli.engines.postgres import binaries
from render import render

ROOT = pathlib.Path(__file__).parents[2]
OVERLAY = ROOT / "deploy" / "k8s" / "overlays" / "dev"
PASSWORD = "0123456789abcdef"
READY_SECONDS = 240.0

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Cluster:
    """What the manifests refer to, with values of this test: the ConfigMap's overridden, Secrets by (name, key)."""

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
        mounts = {m["mountPath"]: self.volumes.get(m["name"]) for m in container.get("volumeMounts", [])}
        for path, folder in mounts.items():
            env = {k: v.replace(path, str(folder)) if v.startswith(f"{path}/") else v for k, v in env.items()}
        # PATH is the image's; nothing of this machine's environment is passed on.
        return {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", **env}

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


async def _forget(server: str) -> None:
    admin = await asyncpg.connect(server)
    try:
        for service in WITH_DATABASE:
            await admin.execute(f"DROP DATABASE panier_{service} WITH (FORCE)")
            await admin.execute(f"DROP ROLE panier_{service}")
    finally:
        await admin.close()


@pytest.fixture(scope="module")
def databases(postgres: str) -> Iterator[dict[str, str]]:
    """URLs by service, of roles and databases that the script of compose made."""
    at = urlsplit(postgres)
    done = subprocess.run(
        [ROOT / "deploy" / "compose" / "create-databases.sh"],
        env={
            "PATH": f"{binaries()}:{os.environ['PATH']}",
            "PGHOST": str(at.hostname),
            "PGPORT": str(at.port),
            "PGPASSWORD": str(at.password),
            "POSTGRES_USER": str(at.username),
            **{f"PANIER_{service.upper()}_DATABASE_PASSWORD": PASSWORD for service in WITH_DATABASE},
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    names = {service: f"panier_{service}" for service in WITH_DATABASE}
    yield {s: f"postgresql://{name}:{PASSWORD}@{at.hostname}:{at.port}/{name}" for s, name in names.items()}
    asyncio.run(_forget(postgres))


@pytest.fixture(scope="module")
def cluster(kafka: str, databases: dict[str, str]) -> Cluster:
    """The overlay, its references given values, and every job done."""
    cluster = Cluster(
        render(OVERLAY),
        settings={"PANIER_KAFKA_BOOTSTRAP_SERVERS": kafka},
        secrets={
            ("panier-admin", "token"): "admin-token",
            ("panier-meta", "app-secret"): "app-secret",
            ("panier-meta", "verify-token"): "verify-token",
            ("panier-shop-tokens", "BOULANGERIE_TOKEN"): "access-token",
            **{(f"panier-{service}-database", "url"): url for service, url in databases.items()},
        },
        volumes={"shops": ROOT / "examples" / "bakery"},
    )
    for job in [name for name, _, _ in workloads(cluster.objects) if name.startswith("Job ")]:
        done = subprocess.run(
            [sys.executable, "-m", "panier_cli", *cluster.arguments(job)],
            env=cluster.environment(job),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{job}: {done.stderr}"
    return cluster


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Running:
    """One service as its pod would run it."""

    def __init__(self, service: str, env: dict[str, str], folder: pathlib.Path) -> None:
        self.service, self.admin_port = service, free_port()
        ports = {f"PANIER_{service.upper()}_ADMIN_PORT": str(self.admin_port)}
        if service in ("ingest", "console"):
            ports[f"PANIER_{service.upper()}_PORT"] = str(free_port())
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


@pytest.fixture
def services(cluster: Cluster, tmp_path: pathlib.Path) -> Iterator[list[Running]]:
    running: list[Running] = []
    try:
        running.extend(Running(s, cluster.environment(f"Deployment panier-{s}"), tmp_path) for s in SERVICES)
        yield running
    finally:
        for one in running:
            with contextlib.suppress(ProcessLookupError):
                one.process.kill()
            one.process.wait()


def test_every_service_becomes_ready_and_stops_in_the_time_it_is_given(
    cluster: Cluster, services: list[Running]
) -> None:
    waiting = {one.service: "not asked yet" for one in services}
    until = time.monotonic() + READY_SECONDS
    while waiting:
        assert time.monotonic() < until, f"not ready: {waiting}"
        time.sleep(0.2)
        reasons = {one.service: one.why_not_ready() for one in services if one.service in waiting}
        waiting = {service: why for service, why in reasons.items() if why is not None}
    stopped_at = time.monotonic()
    for one in services:
        one.process.send_signal(signal.SIGTERM)
    grace = {name: pod["terminationGracePeriodSeconds"] for name, _, pod in workloads(cluster.objects)}
    for one in services:
        left = grace[f"Deployment panier-{one.service}"] - (time.monotonic() - stopped_at)
        assert one.process.wait(left) == 0, f"{one.service}: {one.log}"


def test_a_service_that_lacks_a_setting_ends_and_names_it_and_no_secret(
    cluster: Cluster, tmp_path: pathlib.Path
) -> None:
    env = cluster.environment("Deployment panier-cart")
    del env["PANIER_CART_DATABASE_URL"]
    cart = Running("cart", env, tmp_path)
    try:
        assert cart.process.wait(60) != 0
    finally:
        cart.process.kill()
        cart.process.wait()
    assert "PANIER_CART_DATABASE_URL" in cart.log
    assert "admin-token" not in cart.log, "a secret is in the log"
