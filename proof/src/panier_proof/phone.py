"""The simulator's doors: a customer's phone, the payment page, and what Meta was told to do wrong."""

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import aiohttp

from panier_proof import shop
from panier_proof.evidence import Accepted
from panier_proof.ledger import Act, Customer, Json, Payment, Reply, Seen, seen

T = TypeVar("T")
_LOOK_SECONDS = 20.0
_PAGE = 5000


class Simulator:
    """Everything that the proof asks of the simulated world. The world itself never fails."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self._session = session
        self._api = f"{address}/api"

    async def ask(self, method: str, path: str, document: object = None, **query: object) -> Any:
        """The answer's JSON. Raises RuntimeError for any other than 2xx: the driver asked for the impossible."""
        params = {name: str(value) for name, value in query.items()}
        async with self._session.request(method, f"{self._api}{path}", json=document, params=params) as answer:
            if not answer.ok:
                raise RuntimeError(f"{method} {path} {document}: {answer.status} {await answer.text()}")
            return await answer.json()

    async def use_faults(self, faults: Mapping[str, float]) -> None:
        await self.ask("PUT", "/faults", dict(faults))

    async def struck(self) -> dict[str, int]:
        """How often each of the simulator's own faults struck."""
        counts: dict[str, int] = (await self.ask("GET", "/faults"))["struck"]
        return counts

    async def webhooks(self) -> dict[str, Any]:
        found: dict[str, Any] = await self.ask("GET", "/webhooks")
        return found

    async def messages(self) -> list[Accepted]:
        """All messages of the shop that Meta took, in order, without their words."""
        found: list[Accepted] = []
        while page := await self.ask("GET", "/messages", after=found[-1].seq if found else 0, limit=_PAGE):
            found += [
                Accepted(one["seq"], one["callback"] or "", one["customer"], one["at"] - one["waited"], one["told_at"])
                for one in page
            ]
        return found

    async def customer(self, name: str, wa_id: str | None, number: str) -> Customer:
        """A new one, who writes to this number of the shop's."""
        about = await self.ask("POST", "/customers", {"name": name, **({"wa_id": wa_id} if wa_id else {})})
        conversation = f"{number}:{about['user_id']}"
        return Customer(name, about["id"], about["user_id"], wa_id, conversation)

    async def chat(self, customer: Customer, after: int = 0, wait: float = 0.0) -> list[Json]:
        found: list[Json] = await self.ask(
            "GET", f"/customers/{customer.id}/chat", number=customer.number, after=after, wait=wait
        )
        return found

    async def whole_chat(self, customer: Customer) -> list[Json]:
        found: list[Json] = []
        while page := await self.chat(customer, found[-1]["seq"] if found else 0):
            found += page
        return found


class Phone:
    """One customer's phone: it acts, and keeps what it shows on the customer's page of the ledger."""

    def __init__(self, simulator: Simulator, customer: Customer, skew_seconds: int) -> None:
        self._simulator = simulator
        self.page = customer
        self._skew = skew_seconds
        self._looked = 0

    async def act(self, action: Json) -> Act:
        """Do something. The page has it before anybody can answer."""
        sent = self._stamped(action) if self._skew else action
        document = await self._simulator.ask(
            "POST", f"/customers/{self.page.id}/messages", sent, number=self.page.number
        )
        act = Act(document["wamid"], document["at"], action)
        self.page.acts.append(act)
        return act

    async def press(self, reply: Reply, of: Seen) -> Act:
        return await self.act({"press": reply.id, "message": of.wamid})

    async def expect(self, look: Callable[[Seen], T | None], since: int, seconds: float) -> T | None:
        """The first message after `since` in which `look` finds something; None when none comes in time."""
        until = time.monotonic() + seconds
        while True:
            for message in self.page.seen:
                if message.seq > since and (found := look(message)) is not None:
                    return found
            left = until - time.monotonic()
            if left <= 0:
                return None
            await self._look(min(left, _LOOK_SECONDS))

    async def glance(self) -> int:
        """Take in what is there now; the number of the last message."""
        await self._look(0)
        return self._looked

    async def _look(self, wait: float) -> None:
        for document in await self._simulator.chat(self.page, self._looked, wait):
            self._looked = document["seq"]
            if document["direction"] == "out":
                self.page.seen.append(seen(document))

    async def pay(self, order_id: str, minor: int, state: str = "paid", times: int = 1) -> None:
        """One notification, told so many times at once."""
        payment = Payment(order_id, str(uuid.uuid4()), state, minor)
        self.page.payments.append(payment)
        told = {"state": state, "minor": minor, "currency": shop.CURRENCY, "id": payment.notification}
        await asyncio.gather(*(self._simulator.ask("POST", f"/payments/{order_id}", told) for _ in range(times)))

    def _stamped(self, action: Json) -> Json:
        """The same as Meta would post it, with a time that is off."""
        return {"raw": {**raw(action, self.page), "timestamp": str(int(time.time() + self._skew))}}


def raw(action: Json, page: Customer) -> Json:
    """What this customer did, as Meta posts it."""
    match action:
        case {"text": text}:
            return {"type": "text", "text": {"body": text}}
        case {"cart": lines}:
            items = [_item(line) for line in lines]
            return {"type": "order", "order": {"catalog_id": shop.CATALOG, "text": "", "product_items": items}}
        case {"press": pressed, "message": wamid}:
            [message] = [message for message in page.seen if message.wamid == wamid]
            reply = next(reply for reply in message.replies if reply.id == pressed)
            told = {"type": reply.kind, reply.kind: {"id": reply.id, "title": reply.title}}
            return {"type": "interactive", "interactive": told, "context": {"id": wamid}}
        case {"product_question": {"sku": sku, "text": text}}:
            referred = {"catalog_id": shop.CATALOG, "product_retailer_id": sku}
            context = {"id": "wamid.product_inquiry", "referred_product": referred}
            return {"type": "text", "text": {"body": text}, "context": context}
        case {"location": place}:
            return {"type": "location", "location": place}
        case _:
            raise ValueError(f"no phone does {sorted(action)}")


def _item(line: Json) -> Json:
    """A line of a WhatsApp cart."""
    price = {"item_price": line["price"], "currency": shop.CURRENCY}
    return {"product_retailer_id": line["sku"], "quantity": line["quantity"], **price}
