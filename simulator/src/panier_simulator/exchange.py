"""The exchange in the middle: messages of customers become webhooks, Graph calls become messages on phones.

Here is what depends on state: who a recipient is, which catalogue a number has, the 24-hour window, which
statuses follow. Shapes are judged in `requests.py`, built in `webhooks.py` and `actions.py`.
"""

import asyncio
import base64
import copy
import secrets
import time
from functools import partial
from typing import Any

from panier_simulator import actions, webhooks
from panier_simulator.courier import Courier
from panier_simulator.errors import GraphError
from panier_simulator.hub import Hub
from panier_simulator.limits import Rates, check_window
from panier_simulator.requests import digits
from panier_simulator.shops import Number, Shop, Shops
from panier_simulator.store import Customer, Hook, Message, Store

Json = dict[str, Any]
SHOWN = 200  # a customer presses buttons of this many last messages
TYPING_SECONDS = 25
MEDIA_KINDS = ("image", "video", "audio", "document", "sticker")


class BusyError(Exception):
    """Too many webhooks wait for the shop's door: try again later."""


def new_wamid() -> str:
    return "wamid." + base64.b64encode(b"\x1d\x0bSIM" + secrets.token_bytes(28)).decode()


def topic(customer: str, number: str) -> str:
    """The name of one chat, for those who follow it."""
    return f"{customer}/{number}"


class Exchange:
    """One per process. `window` is the setting of that name: refuse, fail or off."""

    def __init__(
        self,
        store: Store,
        shops: Shops,
        courier: Courier,
        hub: Hub,
        rates: Rates,
        window: str,
        delivered_after_seconds: float,
    ) -> None:
        self.store = store
        self.shops = shops
        self.courier = courier
        self.hub = hub
        self._rates = rates
        self._window = window
        self._delivered_after = delivered_after_seconds
        courier.on_delivered = self._webhook_taken

    def resume(self) -> None:
        """Bring to the phones what was on its way when the simulator stopped."""
        for message in self.store.on_their_way():
            self._deliver(message.wamid)

    # Customers

    def add_customer(self, name: str, wa_id: str | None, user_id: str | None) -> Customer | None:
        """None when one of the ids belongs to another customer. A user id is made when there is none."""
        user_id = user_id or f"FR.{secrets.randbelow(9 * 10**16) + 10**16}"
        customer = Customer(f"c-{secrets.token_hex(6)}", name, wa_id, user_id)
        if not self.store.add_customer(customer):
            return None
        self.hub.tell({"event": "customer", "customer": customer.id})
        return customer

    def act(self, customer: Customer, shop: Shop, number: Number, action: Json) -> Message:
        """A customer does something in the chat with a number. Raises ImpossibleError and BusyError."""
        if self.courier.full:
            raise BusyError
        shown = partial(self.store.latest, customer.id, number.phone_number_id, "out", SHOWN)
        content = actions.compose(action, actions.Chat(shop, number, shown))
        now = time.time()
        ids: Json = {"from": customer.wa_id} if customer.wa_id else {}
        ids |= {"from_user_id": customer.user_id, "id": new_wamid(), "timestamp": str(int(now))}
        body = {**ids, **content}
        wamid = body["id"]
        if not isinstance(wamid, str) or self.store.message(wamid):
            raise actions.ImpossibleError("The id of a raw message is new text")
        self._rates.count(number.phone_number_id, now)
        document = webhooks.message(shop, number, customer, body)
        lane = topic(customer.id, number.phone_number_id)
        with self.store.together():
            message = self.store.add_message(wamid, number.phone_number_id, customer.id, "in", now, "sent", body)
            self.courier.send("whatsapp", lane, f"in/{wamid}", webhooks.encode(document))
        self._tell(message)
        return message

    def read_by_customer(self, customer: Customer, number: str, up_to: int | None) -> int:
        """The phone shows the chat: every message that reached it is read. Answers how many."""
        count = 0
        for message in self.store.unread(customer.id, number, "out", up_to):
            if message.state == "delivered":
                self._advance(message, "read")
                count += 1
        return count

    # Messages of shops

    def accept(self, shop: Shop, number: Number, body: Json) -> Message:
        """A request that passed `requests.judge`, on its way to the phone. Raises GraphError."""
        if self.courier.full:
            raise GraphError(131016, "Too many webhooks wait for your endpoint; try again later.")
        customer = self._recipient(number, body)
        body = self._with_known_products(shop, body)
        self._check_media(body)
        now = time.time()
        failure = self._window_failure(customer, number, body, now)
        self._rates.take(number.phone_number_id, customer.id, now)
        wamid = new_wamid()
        with self.store.together():
            message = self.store.add_message(wamid, number.phone_number_id, customer.id, "out", now, "accepted", body)
            if failure:
                self._advance(message, "failed", failure.in_status())
                return message
            self._advance(message, "sent")
        asyncio.get_running_loop().call_later(self._delivered_after, self._deliver, wamid)
        return message

    def read_by_shop(self, number: Number, message_id: str, typing: bool) -> None:
        """Blue ticks on the customer's message and all before it, and perhaps that the shop is typing."""
        message = self.store.message(message_id)
        if message is None or message.direction != "in" or message.number != number.phone_number_id:
            raise GraphError(131009, "message_id is not the id of a message to this number")
        for earlier in self.store.unread(message.customer, message.number, "in", message.seq):
            self._set_state(earlier, "read")
        if typing:
            event = {"event": "typing", "customer": message.customer, "number": message.number}
            self.hub.tell({**event, "seconds": TYPING_SECONDS}, topic(message.customer, message.number))

    def _recipient(self, number: Number, body: Json) -> Customer:
        """The customer meant by `to`, which wins, or by `recipient`."""
        if body.get("to") is None:
            customer = self.store.customer(body["recipient"])
            if customer is None or customer.user_id != body["recipient"]:
                raise GraphError(131026, "The recipient is not a user of WhatsApp known to this business")
            return customer
        wa_id = digits(body["to"])
        if wa_id == number.digits:
            raise GraphError(131021, "Recipient phone number cannot be the sender's own")
        known = self.store.customer(wa_id)
        if known is None:
            if self._window == "refuse" and body["type"] != "template":
                check_window(None, time.time())
            known = self.add_customer(f"+{wa_id}", wa_id, None)
            assert known is not None
        return known

    def _window_failure(self, customer: Customer, number: Number, body: Json, now: float) -> GraphError | None:
        if self._window == "off" or body["type"] == "template":
            return None
        last = self.store.latest(customer.id, number.phone_number_id, "in", 1)
        try:
            check_window(last[0].at if last else None, now)
        except GraphError as error:
            if self._window == "refuse":
                raise
            return error
        return None

    def _with_known_products(self, shop: Shop, body: Json) -> Json:
        """The request without the products that the catalogue lacks; refused when none is left."""
        action = body.get("interactive", {}).get("action", {})
        cards = [card["action"] for card in action.get("cards", []) if "catalog_id" in card.get("action", {})]
        for part in (action, *cards):
            if "catalog_id" in part and part["catalog_id"] != shop.catalog_id:
                raise GraphError(131009, "The catalog_id is not the one connected to this business account")
            sku = part.get("product_retailer_id")
            if sku is not None and sku not in shop.products:
                raise GraphError(131009, "Products not found in FB Catalog")
        thumbnail = (action.get("parameters") or {}).get("thumbnail_product_retailer_id")
        if thumbnail is not None and thumbnail not in shop.products:
            raise GraphError(131009, "Products not found in FB Catalog: thumbnail_product_retailer_id")
        if body.get("interactive", {}).get("type") != "product_list":
            return body
        shown = copy.deepcopy(body)
        sections = shown["interactive"]["action"]["sections"]
        for section in sections:
            items = section["product_items"]
            section["product_items"] = [item for item in items if item["product_retailer_id"] in shop.products]
        shown["interactive"]["action"]["sections"] = [part for part in sections if part["product_items"]]
        if not shown["interactive"]["action"]["sections"]:
            raise GraphError(131009, "Products not found in FB Catalog")
        return shown

    def _check_media(self, body: Json) -> None:
        kind = body["type"]
        header = body.get("interactive", {}).get("header", {})
        for part, name in ((body, kind), (header, header.get("type"))):
            media = part.get(name) if name in MEDIA_KINDS else None
            if media and media.get("id") and self.store.media(media["id"]) is None:
                raise GraphError(100, f"Param {name}['id'] is not a valid whatsapp business account media ID")

    # States

    def _deliver(self, wamid: str) -> None:
        message = self.store.message(wamid)
        # The number may have left the shops file while the simulator was stopped.
        if message and message.state == "sent" and message.number in self.shops.by_number:
            self._advance(message, "delivered")

    def _advance(self, message: Message, state: str, error: Json | None = None) -> None:
        """Move a message of the shop's on and tell the shop by a status."""
        shop, number = self.shops.by_number[message.number]
        customer = self.store.customer(message.customer)
        assert customer is not None
        lane, about = f"status/{message.wamid}", f"out/{message.wamid}"
        with self.store.together():
            changed = self._set_state(message, state, error)
            document = webhooks.status(shop, number, customer, changed, state, time.time())
            self.courier.send("whatsapp", lane, about, webhooks.encode(document))

    def _set_state(self, message: Message, state: str, error: Json | None = None) -> Message:
        self.store.set_state(message.wamid, state, error)
        changed = self.store.message(message.wamid)
        assert changed is not None
        self._tell(changed)
        return changed

    def _webhook_taken(self, hook: Hook) -> None:
        """A customer's message has its second tick once the shop's door has taken it."""
        direction, _, wamid = hook.about.partition("/")
        if direction == "in" and (message := self.store.message(wamid)) and message.state == "sent":
            self._set_state(message, "delivered")
        elif direction == "pay":
            self.hub.tell({"event": "payment"}, hook.about)

    def _tell(self, message: Message) -> None:
        event = {"event": "message", "message": message.document()}
        self.hub.tell(event, topic(message.customer, message.number))
