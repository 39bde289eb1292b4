"""For tests of any project that talks to WhatsApp: a simulator in a process of its own, and a door for its webhooks.

`pytest_plugins = ["panier_simulator.testing"]` offers the fixtures `whatsapp` (a client of a fresh simulator)
and `webhooks` (the door it posts to). A project whose own door is to be tested starts one with `running`.
"""

import contextlib
import hashlib
import hmac
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from panier_simulator.client import Simulator
from panier_simulator.settings import OWN_SHOPS

Json = dict[str, Any]
APP_SECRET = "test-app-secret"  # noqa: S105 - of a simulated app
START_SECONDS = 30.0
END_SECONDS = 15.0


class Door:
    """Takes webhooks: keeps those whose signature is right, and calls `on_message` for each message in them."""

    def __init__(self, secret: str = APP_SECRET) -> None:
        self.documents: list[Json] = []
        self.refused = 0
        self.answer = 200  # what comes is not kept while this is anything else
        self.on_message: Callable[[Json], None] | None = None
        self._secret = secret.encode()
        self._changed = threading.Condition()
        door = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status = door._take(body, self.headers.get("X-Hub-Signature-256", ""))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """A test's output is its own."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/webhooks"

    def __enter__(self) -> "Door":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def values(self, field: str = "messages") -> list[Json]:
        """The values of all changes of that field, in the order in which they came."""
        changes = (each for document in self.documents for entry in document["entry"] for each in entry["changes"])
        return [each["value"] for each in changes if each["field"] == field]

    def messages(self) -> list[Json]:
        return [message for value in self.values() for message in value.get("messages", [])]

    def statuses(self, wamid: str | None = None) -> list[Json]:
        """Of that message, or of all."""
        every = [status for value in self.values() for status in value.get("statuses", [])]
        return [status for status in every if wamid in (None, status["id"])]

    def until(self, condition: Callable[[], Any], seconds: float = 10.0) -> Any:
        """The condition's value once it is true; looked at with every webhook. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not (value := condition()):
                if not self._changed.wait(max(0.0, deadline - time.monotonic())) and time.monotonic() > deadline:
                    raise TimeoutError(f"not within {seconds} seconds")
            return value

    def _take(self, body: bytes, signature: str) -> int:
        right = "sha256=" + hmac.new(self._secret, body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(right, signature):
            self.refused += 1
            return 401
        if self.answer != 200:
            return self.answer
        document = json.loads(body)
        with self._changed:
            self.documents.append(document)
            self._changed.notify_all()
        if self.on_message:
            for entry in document["entry"]:
                for change in entry["changes"]:
                    for message in change["value"].get("messages", []):
                        self.on_message(message)
        return 200


@contextlib.contextmanager
def running(webhook_url: str, app_secret: str = APP_SECRET, **settings: object) -> Iterator[Simulator]:
    """A simulator in a process and a folder of its own, until the block ends.

    `settings` are those of the simulator without `PANIER_`: `simulator_faults="all"`, `shops="shops.toml"`.
    """
    told = {f"PANIER_{name.upper()}": str(value) for name, value in settings.items()}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PANIER_")}
    with tempfile.TemporaryDirectory(prefix="simulator-") as folder:
        environment = {
            **kept,
            "PANIER_SIMULATOR_HOST": "127.0.0.1",
            "PANIER_SIMULATOR_PORT": "0",
            "PANIER_SIMULATOR_DATA": folder,
            "PANIER_SIMULATOR_WEBHOOK_URL": webhook_url,
            "PANIER_META_APP_SECRET": app_secret,
            "PANIER_SHOPS": str(OWN_SHOPS),
            "PANIER_SIMULATOR_DELIVERED_AFTER_SECONDS": "0.02",
            **told,
        }
        command = [sys.executable, "-m", "panier_simulator"]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield _ready(process)
            finally:
                process.terminate()
                try:
                    process.wait(END_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()


def _ready(process: "subprocess.Popen[str]") -> Simulator:
    """The client of a process that has just been started, once it answers."""
    assert process.stdout is not None
    line = process.stdout.readline()
    said = json.loads(line) if line.startswith("{") else {"event": line}
    if said["event"] != "simulator starts":
        raise RuntimeError(f"the simulator did not start: {said}")
    simulator = Simulator(f"http://127.0.0.1:{said['port']}")
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            simulator.call("GET", "/readyz")
            return simulator
        time.sleep(0.02)
    raise TimeoutError(f"the simulator is not ready after {START_SECONDS} seconds")


@pytest.fixture
def webhooks() -> Iterator[Door]:
    """The door that the fixture `whatsapp` posts to."""
    with Door() as door:
        yield door


@pytest.fixture
def whatsapp(webhooks: Door) -> Iterator[Simulator]:
    """A fresh simulator with its own small shop: number 106540352242922, products tea, mug and honey."""
    with running(webhooks.url) as simulator:
        yield simulator
