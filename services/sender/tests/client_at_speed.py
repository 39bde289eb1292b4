"""The calls at full speed over TLS: `python` this file. Two numbers of 1,000 messages a second in one process.

The schedule, the dispatcher and the HTTP client as they are; only the journal is left out. A stand-in in a process
of its own answers after 150 ms. Prints the rate and the CPU time of the calling process; exits 1 when a thousand
messages cost half a core or more, a call was refused, or a number got less than what the machine left room for: the
seconds for which even a loop with nothing to do was not run are nobody's fault here.
"""

import asyncio
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, cast

import aiohttp
import trustme
import uvloop
from msgspec.structs import replace
from panier_common.contracts.events import Event, Number, ShopConfigured
from panier_sender.dispatch import TURN_SECONDS, Claim, Dispatcher
from panier_sender.errors import Class
from panier_sender.graph import Graph
from panier_sender.happenings import CallFinished
from panier_sender.line import Entry
from panier_sender.pacing import Pacing
from panier_sender.rates import LATE_SECONDS, USED_SHARE, Opening
from panier_sender.schedule import Schedule
from panier_sender.tokens import Tokens
from panier_sender.uploads import Uploads

ANSWER_SECONDS = 0.15
RATE = 1000
NUMBERS = ("106540352242922", "106540352242923")
WARM_UP_SECONDS = 2.0
KEPT_SHARE = 0.97
EXPIRED = Class.UNCALLED.value  # its time ran out before its turn came; it goes later
BODY = '{"messaging_product":"whatsapp","to":"+33612345678","type":"text","text":{"body":"' + "é" * 200 + '"}}'
ANSWER = (
    b'{"messaging_product":"whatsapp","contacts":[{"input":"+33612345678","wa_id":"33612345678"}],'
    b'"messages":[{"id":"wamid.HBgLMzM2MTIzNDU2NzgVAgARGBI0"}]}'
)
NO_UPLOADS = cast(Uploads, None)  # no message here carries a file
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(ANSWER), ANSWER)


class StandIn(asyncio.Protocol):
    """Answers every request of known length after a while; just enough of HTTP/1.1 for that."""

    seconds = ANSWER_SECONDS

    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            at = self._buffer.lower().index(b"content-length:", 0, end)
            length = int(self._buffer[at + 15 : self._buffer.index(b"\r", at)])
            if len(self._buffer) < end + 4 + length:
                return
            self._buffer = self._buffer[end + 4 + length :]
            asyncio.get_running_loop().call_later(self.seconds, self._transport.write, RESPONSE)


async def serve(authority: Path) -> None:
    """Answer with a certificate made for this run; its authority's goes to the file."""
    made = trustme.CA()
    made.cert_pem.write_to_path(authority)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.issue_cert("localhost").configure_cert(context)
    server = await asyncio.get_running_loop().create_server(StandIn, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


class Desk:
    """Stands where the loop over the journal stands: takes the results."""

    def __init__(self) -> None:
        self.accepted: Counter[str] = Counter()
        self.others: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()

    async def submit(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, CallFinished):
                counted = self.accepted if event.outcome == "accepted" else self.others
                counted[event.phone_number_id] += 1
                if event.outcome != "accepted":
                    self.outcomes[event.outcome] += 1


class Beat(threading.Thread):
    """A bare loop: `lost` are the seconds by which its short sleeps were late beyond what the pace catches up."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.lost = 0.0
        self.ended = threading.Event()

    def run(self) -> None:
        due = time.monotonic() + TURN_SECONDS
        while not self.ended.wait(max(0.0, due - time.monotonic())):
            late = time.monotonic() - due
            self.lost += late if late > LATE_SECONDS else 0.0
            due = time.monotonic() + TURN_SECONDS


class Measured(NamedTuple):
    """Messages a second of each number, CPU seconds a second, the share of the time in which the machine ran a bare
    loop, and what was not accepted, by its outcome."""

    rates: dict[str, float]
    cpu: float
    ran: float
    others: Counter[str]


async def measure(port: int, authority: Path, seconds: float) -> Measured:
    shop = ShopConfigured(
        "s",
        1,
        "S",
        ("fr",),
        "EUR",
        "Europe/Paris",
        "1",
        tuple(Number(n, "1", "PATH") for n in NUMBERS),
        True,
        None,
        "simulated",
        60,
    )
    desk, limit = Desk(), RATE / USED_SHARE
    schedule: Schedule[Claim] = Schedule(lambda number: limit)
    connector = aiohttp.TCPConnector(limit=0, ssl=ssl.create_default_context(cafile=str(authority)))
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        graph = Graph(session, f"https://localhost:{port}", "v26.0")
        dispatcher = Dispatcher(
            graph,
            Tokens(dict.fromkeys(NUMBERS, shop)),
            Pacing(4000, 2000),
            schedule,
            NO_UPLOADS,
            opening=Opening(1000),
            claim_seconds=5,
        )
        running = asyncio.create_task(dispatcher.run(desk.submit))
        asked = asyncio.create_task(_ask(dispatcher, desk))
        await asyncio.sleep(WARM_UP_SECONDS)
        before, cpu, began = desk.accepted.copy(), time.process_time(), time.monotonic()
        beat = Beat()
        beat.start()
        await asyncio.sleep(seconds)
        beat.ended.set()
        took, cpu = time.monotonic() - began, time.process_time() - cpu
        rates = {number: (desk.accepted[number] - before[number]) / took for number in NUMBERS}
        others = desk.outcomes.copy()  # what the end itself takes back is no refusal
        asked.cancel()
        await dispatcher.release([0])
        running.cancel()
        await asyncio.gather(asked, running, return_exceptions=True)
    return Measured(rates, cpu / took, max(0.0, 1.0 - beat.lost / took), others)


async def _ask(dispatcher: Dispatcher, desk: Desk) -> None:
    """What the journal would claim: what a number sends in a second, and no more before the results are there."""
    asked: Counter[str] = Counter()
    entry = Entry("", 0, "", "", "text", "answer", "cart", BODY, "[]", datetime.now(UTC))
    while True:
        for number in NUMBERS:
            room = RATE - (asked[number] - desk.accepted[number] - desk.others[number])
            claims = [
                replace(entry, id=f"{asked[number] + n}", conversation=f"{number}:1", phone_number_id=number)
                for n in range(room)
            ]
            asked[number] += room
            dispatcher.start(claims, time.monotonic())
        await asyncio.sleep(0.05)


def run(seconds: float) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        authority = Path(folder) / "authority.pem"
        command = [sys.executable, __file__, "--serve", str(authority)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            return uvloop.run(measure(int(server.stdout.readline()), authority, seconds))
        finally:
            server.terminate()
            server.wait()


def main() -> int:
    if "--serve" in sys.argv:
        uvloop.run(serve(Path(sys.argv[2])))
    rates, cpu, ran, others = run(float(sys.argv[1]) if len(sys.argv) > 1 else 20.0)
    share = cpu / sum(rates.values()) * 1000
    print(
        f"{' and '.join(f'{rate:,.0f}' for rate in rates.values())} messages/s of two numbers over TLS with answers "
        f"after {ANSWER_SECONDS * 1000:.0f} ms: {cpu:.2f} of a core, {share:.2f} for 1,000 a second; "
        f"the machine ran a bare loop for {ran:.0%} of the time; "
        f"claims that expired: {others[EXPIRED]}, refused: {others.total() - others[EXPIRED]}"
    )
    kept = all(rate > KEPT_SHARE * ran * RATE for rate in rates.values())
    refused = others.total() > others[EXPIRED]
    return 0 if kept and not refused and share < 0.5 else 1


if __name__ == "__main__":
    sys.exit(main())
