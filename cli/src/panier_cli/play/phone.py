"""A customer's phone over the simulator's API: acts, waits for answers, pays."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from panier_cli.errors import Refused
from panier_cli.play import chat
from panier_cli.play.story import Step

if TYPE_CHECKING:
    import aiohttp

Message = dict[str, Any]
Seen = Callable[[Message], None]
"""What is done with each message, as it is seen on the phone."""

# All answers to one message leave within half a second of each other.
_QUIET_SECONDS = 0.8


class Phone:
    """One customer's chat with one number. `seconds` is how long an answer may take."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, number: str, customer: str, seconds: float, seen: Seen
    ) -> None:
        self._session, self._url = session, url.rstrip("/")
        self.number, self.customer = number, customer
        self._seconds, self._seen = seconds, seen
        self.messages: list[Message] = []

    async def play(self, step: Step) -> None:
        """Do what the step says and wait for what the shop answers. Raises Refused when it does not."""
        last = self.messages[-1]["seq"] if self.messages else 0
        if "pay" in step.action:
            await self._pay("paid" if step.action["pay"] is True else str(step.action["pay"]))
        else:
            action = {**step.action, "number": self.number}
            if "press" in action and not action.get("force"):
                action["press"] = self._offered(action["press"])
            mine = await self._call("POST", f"/api/customers/{quote(self.customer)}/messages", json=action)
            self._take(mine)
            last = mine["seq"]
        if step.answered and not await self._answers(last):
            raise Refused("no_answer", f"the shop did not answer within {self._seconds:.0f} s: {step.words}")

    async def _answers(self, after: int) -> bool:
        """Take in what comes until it is quiet; whether anything came from the shop."""
        wait, answered = self._seconds, False
        while True:
            query = {"number": self.number, "after": str(after), "wait": str(wait)}
            found: list[Message] = await self._call("GET", f"/api/customers/{quote(self.customer)}/chat", params=query)
            if not found:
                return answered
            for message in found:
                self._take(message)
            after = found[-1]["seq"]
            answered = answered or any(message["direction"] == "out" for message in found)
            wait = _QUIET_SECONDS

    def _take(self, message: Message) -> None:
        self.messages.append(message)
        self._seen(message)

    def _offered(self, wanted: str) -> str:
        """The button meant: of this id, or the first whose id goes on after it."""
        shown = [reply for message in reversed(self.messages) for reply in chat.pressable(message["body"])]
        for reply in shown:
            if reply == wanted or reply.startswith(f"{wanted}:"):
                return reply
        raise Refused("no_such_button", f"no message on the phone has {wanted!r} to press")

    @property
    def link(self) -> str | None:
        """The last link of the shop's."""
        return next((found for message in reversed(self.messages) if (found := chat.link(message["body"]))), None)

    @property
    def paid_order(self) -> str | None:
        """The order that the last link is about: the end of its path."""
        return urlsplit(self.link).path.rpartition("/")[2] if self.link else None

    async def _pay(self, state: str) -> None:
        if self.link is None:
            raise Refused("no_link", "the shop has sent no link to pay")
        *_, currency, minor, _order = ("", "", *urlsplit(self.link).path.split("/"))
        if not minor.isdecimal():
            raise Refused("no_link", "the last link does not say how much to pay")
        payment = {"state": state, "minor": int(minor), "currency": currency}
        await self._call("POST", f"/api/payments/{self.paid_order}", json=payment)

    async def _call(self, method: str, where: str, **options: Any) -> Any:
        return await call(self._session, method, f"{self._url}{where}", **options)


async def call(session: aiohttp.ClientSession, method: str, url: str, **options: Any) -> Any:
    """One call of the simulator's API. Raises Refused with what it says."""
    import aiohttp

    try:
        async with session.request(method, url, **options) as answer:
            document = await answer.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise Refused("simulator", f"the simulator does not answer ({type(error).__name__})") from error
    if answer.status >= 400:
        raise Refused(
            str(document.get("code", "simulator")), f"the simulator says: {document.get('detail', answer.status)}"
        )
    return document


async def pick_up(
    session: aiohttp.ClientSession,
    url: str,
    name: str,
    number: str | None,
    customer: str | None,
    seen: Seen,
    seconds: float,
) -> tuple[Phone, chat.Titles]:
    """A phone, of a new customer unless one is named, and what the shop's products are called."""
    url = url.rstrip("/")
    shops = await call(session, "GET", f"{url}/api/shops")
    found = [(shop["id"], one["phone_number_id"]) for shop in shops for one in shop["numbers"]]
    chosen = next(((shop, one) for shop, one in found if number in (None, one)), None)
    if chosen is None:
        known = ", ".join(one for _, one in found)
        raise Refused("unknown_number", f"the simulator knows no number {number}", f"numbers: {known}")
    if customer is None:
        customer = (await call(session, "POST", f"{url}/api/customers", json=await _person(session, url, name)))["id"]
    products = await call(session, "GET", f"{url}/api/shops/{quote(chosen[0], safe='')}/products")
    titles = {one["sku"]: f"{one['title']}, {one['price']} {one['currency']}" for one in products}
    return Phone(session, url, chosen[1], customer, seconds, seen), titles


async def _person(session: aiohttp.ClientSession, url: str, name: str) -> dict[str, str]:
    """A new customer with the next free number of the range that France keeps for fiction."""
    taken = {one["wa_id"] for one in await call(session, "GET", f"{url}/api/customers")}
    free = next(wa_id for n in range(10_000) if (wa_id := f"3363998{n:04d}") not in taken)
    return {"name": name, "wa_id": free}
