"""Every HTTP door of the running stack, by raw sockets, with the time-outs and limits that it really has.

What each bound does is tried in `libs/common/tests/test_connections.py`; here, that no door was left without.
"""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from stack import Stack, eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

LONGEST = 45.0  # the most patient door waits for 30 s, and notices a quarter of it later
DOORS = ("ingest", "console", "simulator", *(f"admin of {s}" for s in ("catalog", "cart", "checkout", "sender")))
DOORS += tuple(f"admin of {s}" for s in ("console", "sales", "ingest"))


@dataclass(frozen=True)
class Answer:
    raw: bytes
    seconds: float

    @property
    def status(self) -> int:
        return int(self.raw.split(b" ", 2)[1]) if self.raw else 0

    @property
    def headers(self) -> dict[str, str]:
        lines = self.raw.split(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}


@pytest.fixture(scope="module")
def ports(stack: Stack) -> dict[str, int]:
    """The port of each door by its name."""
    admins = {f"admin of {s['name']}": urlsplit(s["admin"]).port for s in stack.ask_status()["services"]}
    return {**stack.ports, **{door: int(port or 0) for door, port in admins.items()}}


def say(port: int, said: bytes) -> Answer:
    """Everything that the door answers until it closes."""
    began = time.monotonic()
    pieces = []
    with socket.create_connection(("127.0.0.1", port), timeout=LONGEST) as connection:
        try:
            connection.sendall(said)
            while piece := connection.recv(65536):
                pieces.append(piece)
        except ConnectionError:
            pass
    return Answer(b"".join(pieces), time.monotonic() - began)


def at_every_door(ports: dict[str, int], said: bytes) -> dict[str, Answer]:
    with ThreadPoolExecutor(len(DOORS)) as doors:
        return dict(zip(DOORS, doors.map(lambda door: say(ports[door], said), DOORS), strict=True))


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", "Connection: close", *headers, "", ""]).encode()


HALVES = {
    "nothing": b"",
    "half a head": b"GET / HTTP/1.1\r\nHost: x\r\n",
    "half a body": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{",
}


def test_who_says_half_a_thing_is_not_waited_for(ports: dict[str, int]) -> None:
    with ThreadPoolExecutor(len(HALVES)) as side_by_side:  # each takes the half minute that a door waits
        answers = side_by_side.map(lambda said: at_every_door(ports, said), HALVES.values())
        for what, doors in zip(HALVES, answers, strict=True):
            for door, answer in doors.items():
                assert answer.seconds < LONGEST, (what, door)
                # One of the latter two where nothing is taken, whatever its body.
                assert answer.status in (408, 404, 405), (what, door)


def test_a_head_too_large_is_refused(ports: dict[str, int]) -> None:
    for door, answer in at_every_door(ports, get("/", "X: " + 40_000 * "x")).items():
        assert answer.status == 431, door
    for door, answer in at_every_door(ports, get("/", *(f"X-{n}: x" for n in range(150)))).items():
        assert answer.status == 431, door


def test_what_is_no_http_is_refused_without_a_word_about_us(ports: dict[str, int]) -> None:
    for door, answer in at_every_door(ports, b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n").items():
        assert answer.status == 400, door
        assert b"Traceback" not in answer.raw, door
        assert "server" not in answer.headers, door


def test_a_stranger_is_turned_away_before_its_body_is_taken(ports: dict[str, int]) -> None:
    head = b"PUT /internal/shops HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 30000000\r\n"
    for token in (b"", b"Authorization: Bearer wrong\r\n"):
        for door, answer in at_every_door(ports, head + token + b"\r\n").items():
            if door.startswith("admin"):
                assert answer.status == 401, door
                assert answer.seconds < 5, door
            else:
                assert answer.status in (404, 405), door


def test_every_door_tells_browsers_to_be_strict(ports: dict[str, int]) -> None:
    for path in ("/", "/nothing-is-here", "/internal/nothing", "/metrics"):
        for door, answer in at_every_door(ports, get(path)).items():
            headers = answer.headers
            assert "server" not in headers, (door, path)
            assert headers["x-content-type-options"] == "nosniff", (door, path)
            assert headers["referrer-policy"] == "no-referrer", (door, path)
            if door.startswith("admin") or door == "ingest":
                assert headers["cache-control"] == "no-store", (door, path)
            if door != "simulator" or path == "/":
                assert "frame-ancestors 'none'" in headers["content-security-policy"], (door, path)


def test_the_public_doors_have_nothing_of_the_inside(ports: dict[str, int]) -> None:
    for path in ("/metrics", "/status", "/readyz", "/internal/orders", "/docs", "/openapi.json"):
        answers = at_every_door(ports, get(path))
        assert answers["ingest"].status == 404, path
        assert answers["console"].status == 404, path


def test_after_all_this_the_doors_are_open(ports: dict[str, int], stack: Stack) -> None:
    eventually("the stack to be ready", stack.is_ready)
    assert say(ports["console"], get("/")).status == 200
