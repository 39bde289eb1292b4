"""The running system seen from outside: the whole local stack as a child, and customers on the simulator.

Everything goes through doors that CONTRACT.md names or the simulator's own API.
"""

import contextlib
import hashlib
import hmac
import json
import os
import pathlib
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from panier_common.ports import free_port

ROOT = pathlib.Path(__file__).parents[2]
SHOP, NUMBER, CATALOG = "boulangerie", "106540352242922", "194836987003835"
APP_SECRET, PAYMENT_SECRET = "test-app-secret", "test-payment-secret"

T = TypeVar("T")


def eventually(what: str, look: Callable[[], T], seconds: float = 30) -> T:
    """The first true value of look(), or an AssertionError that says what was waited for.

    A look that takes long, as a command does, leaves as long again to what it waits for.
    """
    end = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        with contextlib.suppress(OSError):
            if value := look():
                return value
        assert time.monotonic() < end, f"waited {seconds:g} s for {what}"
        time.sleep(max(0.1, min(time.monotonic() - began, 2)))


def request(method: str, url: str, body: object = None, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
    raw = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, raw, {"Content-Type": "application/json", **(headers or {})}, method=method)
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


class Stack:
    """`make run` with its simulator, in a folder and on ports of its own."""

    def __init__(self, folder: pathlib.Path, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.ports = {name: free_port() for name in ("ingest", "console", "simulator")}
        self.env = {
            **os.environ,
            "PANIER_DATA": str(folder / "data"),
            "PANIER_META_APP_SECRET": APP_SECRET,
            "PANIER_SIMULATED_PAYMENT_SECRET": PAYMENT_SECRET,
            **{f"PANIER_{name.upper()}_PORT": str(port) for name, port in self.ports.items()},
            **(settings or {}),
        }
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return (self.folder / "run.log").read_text(errors="replace")

    def start(self) -> "Stack":
        with (self.folder / "run.log").open("ab") as log:
            self.process = subprocess.Popen(
                [ROOT / "panier", "up"],
                cwd=ROOT,
                env=self.env,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        try:
            eventually("the stack to be ready", self.is_ready, 300)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.panier('status', check=False)[1]}\n{self.log[-3000:]}") from error
        return self

    def is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the stack ended: {self.log[-2000:]}"
        return self.panier("status", check=False)[0] == 0

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
            try:
                self.process.wait(40)
            finally:
                if self.process.poll() is None:
                    os.killpg(self.process.pid, signal.SIGKILL)

    def panier(self, *words: str, check: bool = True) -> tuple[int, Any]:
        done = subprocess.run(
            [ROOT / "panier", *words, "--json"], cwd=ROOT, env=self.env, capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, f"panier {' '.join(words)}: {done.stderr[-800:]}"
        return done.returncode, json.loads(done.stdout) if done.stdout.strip() else None

    def ask(self, *words: str) -> Any:
        return self.panier(*words)[1]

    def pids(self, service: str) -> list[int]:
        [found] = [s for s in self.ask_status()["services"] if s["name"] == service]
        return [int(pid) for pid in found["pids"]]

    def ask_status(self) -> Any:
        return self.panier("status", check=False)[1]

    def webhook(self, document: object) -> int:
        raw = json.dumps(document).encode()
        signature = "sha256=" + hmac.new(APP_SECRET.encode(), raw, hashlib.sha256).hexdigest()
        url = f"http://127.0.0.1:{self.ports['ingest']}/webhooks/whatsapp"
        return _told(url, raw, {"X-Hub-Signature-256": signature})

    def pay(self, order: Mapping[str, Any], notification: str, minor: int | None = None) -> int:
        note = {
            "id": notification,
            "order_id": order["order_id"],
            "state": "paid",
            "minor": order["total_minor"] if minor is None else minor,
            "currency": order["currency"],
        }
        raw = json.dumps(note).encode()
        signature = "sha256=" + hmac.new(PAYMENT_SECRET.encode(), raw, hashlib.sha256).hexdigest()
        url = f"http://127.0.0.1:{self.ports['ingest']}/webhooks/payments/simulated"
        return _told(url, raw, {"X-Panier-Signature": signature})


def _told(url: str, raw: bytes, headers: dict[str, str]) -> int:
    """The door's answer; told again while it says 503, as Meta and providers do."""
    until = time.monotonic() + 60
    while (status := request("POST", url, raw, headers)[0]) == 503 and time.monotonic() < until:
        time.sleep(0.5)
    return status


class Customer:
    """One person with the simulator's phone."""

    def __init__(self, stack: Stack, name: str, wa_id: str | None = None) -> None:
        self._api = f"http://127.0.0.1:{stack.ports['simulator']}/api"
        status, body = request("POST", f"{self._api}/customers", {"name": name, **({"wa_id": wa_id} if wa_id else {})})
        assert status == 201, body
        self.about = json.loads(body)
        self.seen = 0

    @property
    def user_id(self) -> str:
        return str(self.about["user_id"])

    def act(self, **action: object) -> dict[str, Any]:
        status, body = request("POST", f"{self._api}/customers/{self.about['id']}/messages?number={NUMBER}", action)
        assert status == 201, body
        sent: dict[str, Any] = json.loads(body)
        return sent

    def chat(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = json.loads(
            request("GET", f"{self._api}/customers/{self.about['id']}/chat?number={NUMBER}")[1]
        )
        return messages

    def received(self) -> list[dict[str, Any]]:
        return [message for message in self.chat() if message["direction"] == "out"]

    def answers(
        self, enough: Callable[[list[dict[str, Any]]], bool] = bool, seconds: float = 30
    ) -> list[dict[str, Any]]:
        """What came since the last look, once `enough` holds of it."""

        def fresh() -> list[dict[str, Any]] | None:
            new = self.received()[self.seen :]
            return new if new and enough(new) else None

        new = eventually("an answer", fresh, seconds)
        assert new is not None
        self.seen += len(new)
        return new

    def press(self, prefix: str, **kwargs: object) -> list[dict[str, Any]]:
        """Press the newest button or row whose id begins so; the answers to it."""
        ids = [i for message in self.received() for i in reply_ids(message["body"])]
        [*_, reply] = [i for i in ids if i.startswith(prefix)]
        self.act(press=reply)
        return self.answers(**kwargs)  # type: ignore[arg-type]


def reply_ids(body: Mapping[str, Any]) -> list[str]:
    action = (body.get("interactive") or {}).get("action") or {}
    rows = [row["id"] for section in action.get("sections", []) for row in section.get("rows", [])]
    return [button["reply"]["id"] for button in action.get("buttons", [])] + rows


def words_of(messages: list[dict[str, Any]]) -> str:
    return json.dumps([message["body"] for message in messages], ensure_ascii=False)


def link_of(messages: list[dict[str, Any]]) -> str | None:
    for message in messages:
        action = (message["body"].get("interactive") or {}).get("action") or {}
        if action.get("name") == "cta_url":
            return str(action["parameters"]["url"])
    return None
