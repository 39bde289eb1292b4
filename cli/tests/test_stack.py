"""The local stack as a process: real engines, real processes, and stand-ins for the services."""

import contextlib
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from panier_cli.stack.local import EXAMPLE_SHOPS
from panier_cli.stack.services import SERVICES
from panier_common.ports import free_port

FAKE = Path(__file__).with_name("fake_service.py")
SHOPS = """
[[shop]]
id = "one"
name = "One"
languages = ["fr"]
currency = "EUR"
timezone = "Europe/Paris"
catalog_id = "1"
[[shop.number]]
phone_number_id = "1"
display = "+33 1 00 00 00 01"
access_token_env = "ONE_TOKEN"
[shop.fulfilment]
collect = true
[shop.payment]
provider = "simulated"
expires_after_minutes = 30
"""


def wait_until(what: str, condition: Callable[[], Any], seconds: float = 120) -> Any:
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.05)
    return result


class Stack:
    """`panier up` over a folder of its own."""

    def __init__(self, folder: Path, kafka: str, postgres: str) -> None:
        self.folder, self.data = folder, folder / "data"
        self.notes, packages = folder / "notes", folder / "packages"
        self.notes.mkdir()
        for service in SERVICES:
            (packages / service.module).mkdir(parents=True)
            shutil.copy(FAKE, packages / service.module / "__main__.py")
            # Only its process is a stand-in: the rest of the package is the real one's.
            real = "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n"
            (packages / service.module / "__init__.py").write_text(real)
        (folder / "shops.toml").write_text(SHOPS)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("PANIER_", "OTEL_"))} | {
            "PYTHONPATH": str(packages),
            "FAKE_NOTES": str(self.notes),
            "PANIER_DATA": str(self.data),
            "PANIER_SHOPS": str(folder / "shops.toml"),
            "PANIER_KAFKA_BOOTSTRAP_SERVERS": kafka,
            "PANIER_POSTGRES_URL": postgres,
            "PANIER_META_VERIFY_TOKEN": "mine",
            "PANIER_CART_PROCESSES": "2",
            **{s.setting("PORT"): str(free_port()) for s in SERVICES if s.port},
        }
        self.log = folder / "log"

    def start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "panier_cli", "up"]
            return subprocess.Popen(command, env=self.env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)

    def panier(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "panier_cli", *words],
            env={**self.env, **settings},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def status(self) -> dict[str, Any]:
        done = self.panier("status", "--json")
        document: dict[str, Any] = json.loads(done.stdout) if done.stdout else {"services": []}
        return document | {"exit": done.returncode}

    def service(self, name: str) -> dict[str, Any]:
        rows: dict[str, dict[str, Any]] = {row["name"]: row for row in self.status()["services"]}
        return rows[name]

    def told(self, service: str) -> dict[str, str]:
        """The settings that a service was started with."""
        told: dict[str, str] = json.loads((self.notes / f"{service}.json").read_text())
        return told


@contextlib.contextmanager
def running(folder: Path, kafka: str, postgres: str) -> Iterator[Stack]:
    """A stack that is ready; it is stopped at the end, if the test has not done so."""
    made = Stack(folder, kafka, postgres)
    process = made.start()
    try:
        wait_until("the stack to be ready", lambda: process.poll() is not None or made.status()["exit"] == 0)
        assert process.poll() is None, made.log.read_text()
        yield made
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        process.wait(30)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, kafka: str, postgres: str) -> Iterator[Stack]:
    """One stack for the tests that leave it running."""
    with running(tmp_path_factory.mktemp("stack"), kafka, postgres) as made:
        yield made


@pytest.fixture
def own_stack(tmp_path: Path, kafka: str, postgres: str) -> Iterator[Stack]:
    """A stack for a test that ends it."""
    with running(tmp_path, kafka, postgres) as made:
        yield made


def supervisor(stack: Stack) -> psutil.Process:
    return psutil.Process(int((stack.data / "lock").read_text()))


def test_runs_every_service_and_keeps_each_running(stack: Stack) -> None:
    """One start of the stack, and what a person sees of it from outside."""
    status = stack.status()
    assert [row["name"] for row in status["services"]] == [service.name for service in SERVICES]
    assert {engine["kind"] for engine in status["engines"].values()} == {"setting"}
    cart = stack.service("cart")
    assert len(cart["pids"]) == 2
    assert cart["version"] == "7"
    assert cart["lag"] == {"t": {"records": 4, "seconds": 0.5}}

    log = stack.log.read_text()
    assert "catalog   | hello from catalog\n" in log
    assert "cart/2    | hello from cart\n" in log
    assert "broker: " in log
    assert "because PANIER_POSTGRES_URL says so" in log

    psutil.Process(cart["pids"][0]).kill()
    again = wait_until("another process", lambda: [p for p in stack.service("cart")["pids"] if p not in cart["pids"]])
    wait_until("it to be ready", lambda: stack.status()["exit"] == 0)
    assert again[0] in stack.service("cart")["pids"]
    assert "cart/1    | ended with -9; starts again in 0.2 s\n" in stack.log.read_text()


def test_tells_services_what_they_need_and_lets_the_users_settings_win(stack: Stack) -> None:
    told = stack.told("catalog")
    assert told["PANIER_META_VERIFY_TOKEN"] == "mine"
    assert told["PANIER_CATALOG_DATABASE_URL"].startswith("postgresql://panier_catalog:")
    assert told["PANIER_GRAPH_URL"] == f"http://127.0.0.1:{stack.env['PANIER_SIMULATOR_PORT']}/graph"
    assert told["PANIER_CATALOG_ADMIN_HOST"] == "127.0.0.1"
    assert "PANIER_SALES_DATABASE_URL" not in stack.told("sales")
    assert told["PANIER_POSTGRES_URL"] == ""
    state = json.loads((stack.data / "stack.json").read_text())
    assert told["OTEL_EXPORTER_OTLP_ENDPOINT"] == state["addresses"]["traces"]
    for name in ("PANIER_ADMIN_TOKEN", "PANIER_META_APP_SECRET", "ONE_TOKEN"):
        assert len(told[name]) >= 32
        assert told[name] == stack.told("ingest")[name]
    for name in ("secrets.json", "stack.json"):
        assert stat.S_IMODE((stack.data / name).stat().st_mode) == 0o600
    assert told["PANIER_META_APP_SECRET"] not in stack.log.read_text()


def test_a_second_stack_on_the_same_data_is_refused(stack: Stack) -> None:
    refused = stack.panier("up", "--json")
    assert refused.returncode == 1
    error = json.loads(refused.stderr)["error"]
    assert error["code"] == "already_running"
    assert f"pid {supervisor(stack).pid}" in error["message"]
    assert f"http://127.0.0.1:{stack.env['PANIER_CONSOLE_PORT']}" in error["message"]
    assert stack.status()["exit"] == 0


def test_ctrl_c_ends_everything_in_order(own_stack: Stack) -> None:
    process = supervisor(own_stack)
    children = process.children(recursive=True)
    os.killpg(os.getpgid(process.pid), signal.SIGINT)
    _, alive = psutil.wait_procs(children, timeout=25)
    assert alive == []
    wait_until("the end", lambda: "panier    | stopped\n" in own_stack.log.read_text())
    log = own_stack.log.read_text()
    for service in SERVICES:
        assert f"goodbye from {service.name}\n" in log
    assert own_stack.panier("status", "--json").returncode == 1


def test_nothing_outlives_a_killed_supervisor(own_stack: Stack) -> None:
    process = supervisor(own_stack)
    children = process.children(recursive=True)
    assert len(children) == len(SERVICES) + 2  # a second cart, and the receiver of traces
    process.kill()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
    # The folder is free again, and what was made for it is kept.
    secret = json.loads((own_stack.data / "secrets.json").read_text())["PANIER_ADMIN_TOKEN"]
    again = own_stack.start()
    wait_until("the stack to be ready again", lambda: own_stack.status()["exit"] == 0)
    assert own_stack.told("cart")["PANIER_ADMIN_TOKEN"] == secret
    os.killpg(again.pid, signal.SIGTERM)
    assert again.wait(25) == 0


def test_a_port_in_use_is_refused_with_the_setting_that_moves_it(tmp_path: Path) -> None:
    made = Stack(tmp_path, "127.0.0.1:1", "postgresql://127.0.0.1:1/")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = made.panier("up", PANIER_INGEST_PORT=str(port))
    assert refused.returncode == 1
    assert f"port {port} of ingest is in use" in refused.stderr
    assert "PANIER_INGEST_PORT=" in refused.stderr


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"PANIER_INGEST_PORT": "eighty"}, "PANIER_INGEST_PORT is 'eighty'"),
        ({"PANIER_CART_PROCESSES": "0"}, "PANIER_CART_PROCESSES is '0'"),
        ({"PANIER_SHOPS": "/nowhere/shops.toml"}, "the shops file /nowhere/shops.toml cannot be applied"),
        ({"PANIER_KAFKA_BOOTSTRAP_SERVERS": "kafka:"}, "the broker at kafka: cannot be spoken to"),
        ({"PANIER_POSTGRES_URL_FILE": "/nowhere"}, "PANIER_POSTGRES_URL_FILE cannot be read"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, settings: dict[str, str], said: str) -> None:
    refused = Stack(tmp_path, "127.0.0.1:1", "postgresql://127.0.0.1:1/").panier("up", **settings)
    assert refused.returncode == 1
    assert said in refused.stderr


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ('"EUR"', '"XXZ"', "shop[0].currency: `XXZ` is no currency"),
        ("catalogue.csv", "gone.csv", "gone.csv"),
    ],
)
def test_a_shops_file_that_nobody_could_apply_starts_nothing(tmp_path: Path, right: str, wrong: str, said: str) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(EXAMPLE_SHOPS.read_text().replace(right, wrong))
    (tmp_path / "catalogue.csv").write_bytes((EXAMPLE_SHOPS.parent / "catalogue.csv").read_bytes())
    refused = Stack(tmp_path, "127.0.0.1:1", "postgresql://127.0.0.1:1/").panier("up", PANIER_SHOPS=str(file))
    assert refused.returncode == 1
    assert f"{file} cannot be applied" in refused.stderr
    assert said in refused.stderr


def test_a_command_without_a_stack_says_how_to_start_one(tmp_path: Path) -> None:
    made = Stack(tmp_path, "", "")
    refused = made.panier("status", "--json")
    assert refused.returncode == 1
    assert json.loads(refused.stderr)["error"]["code"] == "not_running"
    assert made.panier("status", "--loudly").returncode == 2
    assert made.panier("migrate", "--json").returncode == 2
