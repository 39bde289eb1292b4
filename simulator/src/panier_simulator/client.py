"""A client of a running simulator, for tests and scripts in any project: customers, faults, the clock, what came in.

It needs nothing but Python and blocks until it is answered. What a shop itself calls, the Graph API, is at
`graph_url`, to be put in the place of Meta's address.
"""

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
WAIT_SECONDS = 10.0


class SimulatorError(Exception):
    """The simulator refused a call: `status` and the problem that it answered."""

    def __init__(self, status: int, problem: Any) -> None:
        super().__init__(f"{status}: {problem.get('detail', problem) if isinstance(problem, dict) else problem}")
        self.status = status
        self.problem = problem


class Simulator:
    """One simulator, by its address. Made by `panier_simulator.testing` or from the address of one that runs."""

    def __init__(self, url: str, timeout_seconds: float = 70.0) -> None:
        self.url = url.rstrip("/")
        self.graph_url = f"{self.url}/graph"
        self._timeout = timeout_seconds

    def customer(self, name: str, wa_id: str | None = None, user_id: str | None = None) -> "Customer":
        """A new customer; without `wa_id` the phone number stays hidden."""
        made = self.call("POST", "/api/customers", {"name": name, "wa_id": wa_id, "user_id": user_id})
        return Customer(self, made["id"], made["name"], made["wa_id"], made["user_id"])

    def faults(self, preset: str = "none", **changes: Any) -> Json:
        """These faults from now on: a preset (`none`, `all`) with changes, as in `faults(missing=0.1, seed=7)`."""
        return self._object("PUT", f"/api/faults/{preset}", changes)

    def next_call(self, **what: Any) -> Json:
        """What the next calls meet: `code=131047`, `failed=131026` or `answer="lost"`.

        Bounded by `times`, `recipient` (a phone number's digits or a user id) and `number`.
        """
        return self._object("POST", "/api/faults/next", what)

    def move_clock(self, seconds: float) -> float:
        """Go ahead; the time it is then, in seconds since 1970."""
        return float(self.call("POST", "/api/clock", {"move_seconds": seconds})["now"])

    def number(self, phone_number_id: str, **changes: Any) -> Json:
        """Change what a number may do (`messages_per_second`, `trouble`, `quality`…); the state it has then."""
        return self._object("PATCH", f"/api/numbers/{phone_number_id}", changes)

    def counts(self) -> Json:
        """Messages received, accepted and refused, and the most that a number had accepted in one second."""
        return self._object("GET", "/api/counts")

    def post(self, webhook: Json) -> Json:
        """Post a whole webhook as it is given, signed."""
        return self._object("POST", "/api/webhooks", webhook)

    def webhooks(self) -> Json:
        """How many webhooks were taken, are waiting, were tried again."""
        return self._object("GET", "/api/webhooks")

    def accepted(self, phone_number_id: str | None = None) -> Iterator[Json]:
        """All messages of shops that were accepted, in that order, without contents."""
        return self._pages("/api/messages", phone_number_id)

    def refusals(self, phone_number_id: str | None = None) -> Iterator[Json]:
        """All messages that were refused, and why; `injected` ones broke no rule."""
        return self._pages("/api/refusals", phone_number_id)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Any call of the simulator's own API. Raises SimulatorError."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - the address was given by whoever made this client
            self.url + path, data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as error:
            text = error.read()
            try:
                problem = json.loads(text)
            except ValueError:
                problem = text.decode(errors="replace")
            raise SimulatorError(error.code, problem) from None

    def _object(self, method: str, path: str, body: Any = None) -> Json:
        answer: Json = self.call(method, path, body)
        return answer

    def _pages(self, path: str, phone_number_id: str | None) -> Iterator[Json]:
        after = 0
        query = {"number": phone_number_id} if phone_number_id else {}
        while page := self.call("GET", f"{path}?{urllib.parse.urlencode({**query, 'after': after, 'limit': 10_000})}"):
            yield from page
            after = page[-1]["seq"]


@dataclass(frozen=True)
class Customer:
    """Somebody with a phone. `number` may be left out where the shops have only one."""

    simulator: Simulator
    id: str
    name: str
    wa_id: str | None
    user_id: str

    def says(self, text: str, number: str | None = None) -> Json:
        """Write words to the shop; the message as the simulator keeps it."""
        return self.does({"text": text}, number)

    def presses(self, reply_id: str, number: str | None = None) -> Json:
        """Press a button or a row of a message on the phone."""
        return self.does({"press": reply_id}, number)

    def does(self, action: Json, number: str | None = None) -> Json:
        """Any action of the simulator's own API: a cart, a location, a file…"""
        answer: Json = self.simulator.call("POST", self._path("messages", number=number), action)
        return answer

    def chat(self, number: str | None = None, after: int = 0, wait: float = 0.0) -> list[Json]:
        """Messages of both directions after the `seq` given; waits so many seconds for one."""
        messages: list[Json] = self.simulator.call("GET", self._path("chat", number=number, after=after, wait=wait))
        return messages

    def receives(
        self,
        fits: Callable[[Json], bool] = lambda message: True,
        number: str | None = None,
        after: int = 0,
        seconds: float = WAIT_SECONDS,
    ) -> Json:
        """The next message of the shop that fits. Raises TimeoutError when none comes."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            for message in self.chat(number, after, min(left, 30.0)):
                after = message["seq"]
                if message["direction"] == "out" and fits(message):
                    return message
        raise TimeoutError(f"no such message within {seconds} seconds")

    def becomes(self, wa_id: str | None = None, user_id: str | None = None) -> "Customer":
        """Another phone number or user id, told to the shop as Meta tells it; the customer as it is then."""
        made = self.simulator.call("PATCH", f"/api/customers/{self.id}", {"wa_id": wa_id, "user_id": user_id})
        return Customer(self.simulator, made["id"], made["name"], made["wa_id"], made["user_id"])

    def trouble(self, code: int | None, by_status: bool = False) -> Json:
        """What messages to this customer end with: a code of Meta's, at once or by a status; None ends it."""
        path = f"/api/customers/{self.id}/state"
        answer: Json = self.simulator.call("PATCH", path, {"trouble": code, "by_status": by_status})
        return answer

    def _path(self, what: str, **query: Any) -> str:
        given = {name: value for name, value in query.items() if value is not None}
        return f"/api/customers/{self.id}/{what}?{urllib.parse.urlencode(given)}"
