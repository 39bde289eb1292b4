"""Simulated Meta: customers' phones, webhooks that come again, late and in another order, and a Graph API with faults.

A call may be accepted and its answer lost; a webhook is told until the door has taken it. What the phones show and
what was taken is all that the ledger has.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from panier_sender.errors import RULES
from panier_sender.graph import IN_DOUBT, UNREACHED, Answer, read_answer

from panier_proof import shop
from panier_proof.evidence import Accepted
from panier_proof.ledger import Act, Customer, Json, Payment, Reply, Seen, seen
from panier_proof.phone import raw
from panier_proof.simulated.scheduler import ACTOR, BEGAN, SimulatedLoop

T = TypeVar("T")
AGAIN_SECONDS = 5.0


@dataclass
class Weather:
    """How likely each of Meta's own faults is, for one webhook or one call."""

    repeated: float = 0.05
    delayed: float = 0.10
    lost_answer: float = 0.01
    refused: float = 0.01
    unreached: float = 0.01
    no_status: float = 0.02
    delay_seconds: float = 2.0


class Meta:
    """All phones and both directions. `door` takes a webhook's body and says whether it was taken."""

    def __init__(self, loop: SimulatedLoop, weather: Weather) -> None:
        self.loop = loop
        self.weather = weather
        self.door: Callable[[bytes], Any] = lambda body: None
        self._accepted: dict[int, Accepted] = {}
        self.waiting = 0
        self.webhooks = 0
        self._phones: dict[str, SimulatedPhone] = {}
        self._seq = 0

    def customer(self, name: str, n: int, wa_id: str | None, skew: int) -> "SimulatedPhone":
        user_id = f"FR.{10**16 + n}"
        page = Customer(name, f"c-{n}", user_id, wa_id, f"{shop.NUMBER}:{user_id}")
        phone = SimulatedPhone(self, page, skew)
        self._phones[user_id] = phone
        if wa_id is not None:
            self._phones[wa_id] = phone
        return phone

    @property
    def accepted(self) -> list[Accepted]:
        """The calls taken, in order."""
        return list(self._accepted.values())

    def _note_told(self, seq: int) -> None:
        self._accepted[seq] = msgspec.structs.replace(self._accepted[seq], told=BEGAN + self.loop.now)

    def next_seq(self) -> int:
        self._seq += 1
        return self._seq

    # Towards the shop.

    def tell(self, change: Json, taken: Callable[[], None] = lambda: None) -> None:
        """One webhook, until the door takes it; and perhaps once more after that."""
        body = msgspec.json.encode(_webhook(change))
        self.waiting += 1
        self.loop.start(self.loop.world, self._tell(body, taken))

    async def _tell(self, body: bytes, taken: Callable[[], None]) -> None:
        chance, weather = self.loop.random, self.weather
        if chance.random() < weather.delayed:
            await asyncio.sleep(chance.random() * weather.delay_seconds)
        again = chance.random() < weather.repeated
        self.webhooks += 1
        while not await self.door(body):  # noqa: ASYNC110 - as Meta does
            await asyncio.sleep(AGAIN_SECONDS * chance.random())
        taken()
        while again:
            await asyncio.sleep(chance.random() * 4 * AGAIN_SECONDS)
            again = not await self.door(body)
        self.waiting -= 1

    # From the shop.

    async def call(self, body: bytes, seconds: float) -> Answer:
        """One call of the messages endpoint, with whatever befalls it."""
        chance, weather = self.loop.random, self.weather
        await asyncio.sleep(0.01 + chance.random() * 0.05)
        fate = chance.random()
        if fate < weather.unreached:
            return Answer(UNREACHED)
        fate -= weather.unreached
        if fate < weather.refused:
            status, document = 503, {"error": {"code": 2}}
            rule, wamid, code = read_answer(status, msgspec.json.encode(document))
            return Answer(rule, wamid, code)
        taken = self._accept(msgspec.json.decode(body))
        self.loop.passes(ACTOR.get(), "called")
        if taken is None:
            return Answer(RULES[131026], code=131026)
        fate -= weather.refused
        if fate < weather.lost_answer:
            await asyncio.sleep(seconds)
            return Answer(IN_DOUBT)
        rule, told, code = read_answer(200, msgspec.json.encode({"messages": [{"id": taken}]}))
        return Answer(rule, told, code)

    def _accept(self, body: Json) -> str | None:
        """The message is on the phone; its statuses follow. None for a customer nobody knows."""
        phone = self._phones.get(str(body.get("to") or body.get("recipient") or "").lstrip("+"))
        if phone is None:
            return None
        seq = self.next_seq()
        wamid = f"wamid.out{seq}"
        at = BEGAN + self.loop.now
        kind = (body.get("interactive") or {}).get("type") or body["type"]
        phone.show(seen({"seq": seq, "wamid": wamid, "at": at, "kind": kind, "body": body}))
        callback = body.get("biz_opaque_callback_data") or ""
        self._accepted[seq] = Accepted(seq, callback, phone.page.id, at)
        if self.loop.random.random() >= self.weather.no_status:
            status = {
                "id": wamid,
                "status": "delivered" if self.loop.random.random() < 0.5 else "sent",
                "timestamp": str(int(at)),
                "recipient_id": phone.page.wa_id or phone.page.user_id,
                "biz_opaque_callback_data": callback,
            }
            self.tell({"statuses": [status]}, lambda: self._note_told(seq))
        return wamid


class SimulatedGraph:
    """What the sender's Graph is, on simulated Meta."""

    def __init__(self, meta: Meta) -> None:
        self._meta = meta

    async def send(
        self, phone_number_id: str, token: str, body: bytes, seconds: float, traceparent: str | None
    ) -> Answer:
        try:
            async with asyncio.timeout(seconds):
                return await self._meta.call(body, seconds)
        except TimeoutError:
            return Answer(IN_DOUBT)

    async def mark_read(self, phone_number_id: str, token: str, body: bytes, seconds: float) -> bool:
        return True


class SimulatedPhone:
    """What `Phone` is to a shopper: acts, and keeps what it shows on the customer's page."""

    def __init__(self, meta: Meta, page: Customer, skew_seconds: int) -> None:
        self._meta = meta
        self._loop = meta.loop
        self.page = page
        self._skew = skew_seconds
        self._acts = 0
        self._came: asyncio.Future[None] | None = None
        self.payments: Callable[[Payment], Any] = lambda payment: None

    def show(self, message: Seen) -> None:
        self.page.seen.append(message)
        if self._came is not None and not self._came.done():
            self._came.set_result(None)

    async def act(self, action: Json) -> Act:
        self._acts += 1
        wamid, at = f"wamid.{self.page.id}.{self._acts}", BEGAN + self._loop.now
        act = Act(wamid, at, action)
        self.page.acts.append(act)
        ids = {"from_user_id": self.page.user_id}
        contact: Json = {"profile": {"name": self.page.name}, "user_id": self.page.user_id}
        if self.page.wa_id is not None:
            ids["from"] = contact["wa_id"] = self.page.wa_id
        message = {**ids, "id": wamid, "timestamp": str(int(at + self._skew)), **raw(action, self.page)}

        def taken() -> None:
            act.acknowledged = True

        self._meta.tell({"contacts": [contact], "messages": [message]}, taken)
        return act

    async def press(self, reply: Reply, of: Seen) -> Act:
        return await self.act({"press": reply.id, "message": of.wamid})

    async def glance(self) -> int:
        return self.page.seen[-1].seq if self.page.seen else 0

    async def expect(self, look: Callable[[Seen], T | None], since: int, seconds: float) -> T | None:
        until, looked = self._loop.now + seconds, 0
        while True:
            for message in self.page.seen[looked:]:
                if message.seq > since and (found := look(message)) is not None:
                    return found
            looked = len(self.page.seen)
            self._came = self._loop.create_future()
            try:
                async with asyncio.timeout_at(until):
                    await self._came
            except TimeoutError:
                return None

    async def pay(self, order_id: str, minor: int, state: str = "paid", times: int = 1) -> None:
        payment = Payment(order_id, f"pay-{self.page.id}-{len(self.page.payments)}", state, minor)
        self.page.payments.append(payment)
        await asyncio.gather(*(self.payments(payment) for _ in range(times)))


def _webhook(change: Json) -> Json:
    metadata = {"display_phone_number": "33612345678", "phone_number_id": shop.NUMBER}
    value = {"messaging_product": "whatsapp", "metadata": metadata, **change}
    return {
        "object": "whatsapp_business_account",
        "entry": [{"id": "1", "changes": [{"value": value, "field": "messages"}]}],
    }
