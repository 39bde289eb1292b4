"""The exchange in the middle: messages of customers become webhooks, Graph calls become messages on phones.

Here is what depends on state: who a recipient is, the 24-hour window, which statuses follow. Shapes are judged
in `requests.py`, what a business may do in `business.py` and `acceptance.py`; webhooks are built in
`webhooks.py` and `actions.py`, and `faults.py` says what goes wrong with them.
"""

import base64
import secrets
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from panier_simulator import acceptance, actions, numbers, webhooks
from panier_simulator.business import Business
from panier_simulator.clock import Clock
from panier_simulator.counts import CallCounts
from panier_simulator.courier import Courier
from panier_simulator.errors import GraphError
from panier_simulator.faults import CallPlan, Injector, refusal
from panier_simulator.hub import Hub
from panier_simulator.limits import Rates, check_window
from panier_simulator.numbers import CustomerState
from panier_simulator.requests import digits
from panier_simulator.shops import Number, Shop, Shops
from panier_simulator.stalls import Stalls
from panier_simulator.store import Customer, Hook, Message, Store

Json = dict[str, Any]
SHOWN = 200  # a customer presses buttons of this many last messages
TYPING_SECONDS = 25
READABLE_SECONDS = 30 * 24 * 3600.0  # a message can be marked read for so long
NO_PLAN = CallPlan("")


class BusyError(Exception):
    """Too many webhooks wait for the shop's door: try again later."""


def new_wamid() -> str:
    return "wamid." + base64.b64encode(b"\x1d\x0bSIM" + secrets.token_bytes(28)).decode()


def topic(customer: str, number: str) -> str:
    """The name of one chat, for those who follow it."""
    return f"{customer}/{number}"


@dataclass(frozen=True)
class Accepted:
    """A message on its way, and the webhook that tells of it."""

    message: Message
    first: Hook | None


class Exchange:
    """One per process. `window` is the setting of that name: refuse, fail or off."""

    def __init__(
        self,
        store: Store,
        shops: Shops,
        clock: Clock,
        courier: Courier,
        business: Business,
        hub: Hub,
        rates: Rates,
        faults: Injector,
        window: str,
        delivered_after_seconds: float,
    ) -> None:
        self.store = store
        self.shops = shops
        self.clock = clock
        self.courier = courier
        self.business = business
        self.hub = hub
        self.faults = faults
        self.counts = CallCounts()
        self.stalls = Stalls()
        self._rates = rates
        self._window = window
        self._delivered_after = delivered_after_seconds
        courier.on_delivered = self._webhook_taken

    def resume(self) -> None:
        """Go on with what was under way when the simulator stopped."""
        self.business.resume()
        for message in self.store.on_their_way():
            self._deliver(message)

    # Customers

    def add_customer(self, name: str, wa_id: str | None, user_id: str | None) -> Customer | None:
        """None when one of the ids belongs to another customer. A user id is made when there is none."""
        user_id = user_id or f"FR.{secrets.randbelow(9 * 10**16) + 10**16}"
        customer = Customer(f"c-{secrets.token_hex(6)}", name, wa_id, user_id)
        if not self.store.add_customer(customer, self.clock.now()):
            return None
        self.hub.tell({"event": "customer", "customer": customer.id})
        return customer

    def act(self, customer: Customer, shop: Shop, number: Number, action: Json) -> Message:
        """A customer does something in the chat with a number. Raises ImpossibleError and BusyError."""
        if self.courier.full:
            raise BusyError
        shown = partial(self.store.latest, customer.id, number.phone_number_id, "out", SHOWN)
        content = actions.compose(action, actions.Chat(shop, number, shown))
        now = self.clock.now()
        ids: Json = {"from": customer.wa_id} if customer.wa_id else {}
        ids |= {"from_user_id": customer.user_id, "id": new_wamid(), "timestamp": str(int(now))}
        body = {**ids, **content}
        wamid = body["id"]
        if not isinstance(wamid, str) or self.store.message(wamid):
            raise actions.ImpossibleError("The id of a raw message is new text")
        self._rates.count(number.phone_number_id, now, self.stalls.longest())
        lane = topic(customer.id, number.phone_number_id)
        with self.store.together():
            if "media" in action:
                self._keep_file(number, body, now)
            message = self.store.add_message(wamid, number.phone_number_id, customer.id, "in", now, "sent", body)
            key = self.faults.event(number.phone_number_id, customer.wa_id or customer.user_id)
            self._post(lane, f"in/{wamid}", webhooks.message(shop, number, customer, body), key)
        self._tell(message)
        return message

    def change_ids(self, customer: Customer, wa_id: str | None, user_id: str | None) -> Customer | None:
        """A customer moves to another phone number or gets another user id, and every number is told.

        None when one of the ids is somebody else's.
        """
        changed = replace(customer, wa_id=wa_id or customer.wa_id, user_id=user_id or customer.user_id)
        with self.store.together():
            if not self.store.change_customer(changed):
                return None
            for phone_number_id in self.store.numbers_of(customer.id):
                if found := self.shops.by_number.get(phone_number_id):
                    self._tell_ids(*found, customer, changed)
        return changed

    def _tell_ids(self, shop: Shop, number: Number, before: Customer, after: Customer) -> None:
        now = self.clock.now()
        lane = topic(after.id, number.phone_number_id)
        documents = []
        if after.wa_id != before.wa_id:
            body = actions.number_changed(before.name, before.wa_id, after.wa_id)
            documents.append(webhooks.system(shop, number, before.wa_id, before.user_id, new_wamid(), body, now))
        if after.user_id != before.user_id:
            body = actions.user_id_changed(before.name, before.user_id, after.user_id)
            documents.append(webhooks.system(shop, number, before.wa_id, before.user_id, new_wamid(), body, now))
            wa_id = after.wa_id
            documents.append(webhooks.user_id_update(shop, number, wa_id, before.user_id, after.user_id, now))
        for document in documents:
            key = self.faults.event(number.phone_number_id, before.wa_id or before.user_id)
            self._post(lane, f"ids/{after.id}", document, key)

    def read_by_customer(self, customer: Customer, number: str, up_to: int | None) -> int:
        """The phone shows the chat: every message that reached it is read. Answers how many."""
        count = 0
        for message in self.store.unread(customer.id, number, "out", up_to):
            if message.state == "delivered":
                self._advance(message, "read")
                count += 1
        return count

    def _keep_file(self, number: Number, body: Json, now: float) -> None:
        """A file that the customer sends can be fetched by its id."""
        file = actions.taken_file(body)
        if file is not None:
            media_id = str(secrets.randbelow(9 * 10**14) + 10**14)
            mime_type = file.document["mime_type"].partition(";")[0]
            self.store.add_media(media_id, number.phone_number_id, mime_type, file.content, now, inbound=True)
            file.document.update(id=media_id, sha256=file.sha256)

    # Messages of shops

    def accept(self, shop: Shop, number: Number, body: Json, plan: CallPlan = NO_PLAN, waited: float = 0.0) -> Accepted:
        """A request that passed `requests.judge`, on its way to the phone. Raises GraphError."""
        if plan.refusal is not None:
            raise refusal(plan.refusal)
        if self.courier.full:
            raise GraphError(131016, "Too many webhooks wait for your endpoint; try again later.")
        now, phone_number_id = self.clock.now(), number.phone_number_id
        numbers.check_number(self.business.number(phone_number_id), now)
        customer = self._recipient(number, body, now)
        template = self.business.fitting_template(shop, body)
        category = template["category"] if template else None
        if category == "AUTHENTICATION" and body.get("to") is None:
            raise GraphError(131062, "Authentication templates are sent to phone numbers only")
        body = acceptance.with_known_products(shop, body)
        acceptance.check_files(self.store, body, now)
        acceptance.check_order(self.store, phone_number_id, body)
        failure = self._failure(customer, number, body, category, now)
        self._rates.take(phone_number_id, customer.id, now, self.stalls.longest())
        wamid = new_wamid()
        state, error = ("failed", failure.in_status()) if failure else ("sent", None)
        with self.store.together():
            message = self.store.add_message(
                wamid, phone_number_id, customer.id, "out", now, state, body, error, plan.key, waited
            )
            first = self._report(message, customer)
        self._tell(message)
        if failure is None:
            failed = plan.failed
            next_state = partial(self._deliver, message) if failed is None else partial(self._fail, message, failed)
            self.clock.call_at(now + self._delivered_after, next_state)
        return Accepted(message, first)

    def note_refusal(self, number: str, recipient: str, callback: str | None, error: GraphError) -> None:
        """Count a message that was refused, and keep why."""
        self.counts.refused(error.code, error.injected)
        now = self.clock.now()
        self.store.add_refusal(now, number, recipient, callback, error.code, error.details, error.injected)

    def manage(self, account_id: str) -> None:
        """Count a call about an account. Raises GraphError at its limit."""
        self._rates.manage(account_id, self.clock.now())

    def limit_of(self, phone_number_id: str) -> int:
        """Messages a second that a number may exchange; 0 is no limit."""
        return self._rates.limits.get(phone_number_id, self._rates.messages_per_second)

    def read_by_shop(self, number: Number, message_id: str, typing: bool) -> None:
        """Blue ticks on the customer's message and all before it, and perhaps that the shop is typing."""
        message = self.store.message(message_id)
        if message is None or message.direction != "in" or message.number != number.phone_number_id:
            raise GraphError(131009, "message_id is not the id of a message to this number")
        if self.clock.now() - message.at > READABLE_SECONDS:
            raise GraphError(131009, "The message is older than 30 days")
        for earlier in self.store.unread(message.customer, message.number, "in", message.seq):
            self._set_state(earlier, "read")
        if typing:
            event = {"event": "typing", "customer": message.customer, "number": message.number}
            self.hub.tell({**event, "seconds": TYPING_SECONDS}, topic(message.customer, message.number))

    def _recipient(self, number: Number, body: Json, now: float) -> Customer:
        """The customer meant by `to`, which wins, or by `recipient`."""
        state = self.business.number(number.phone_number_id)
        if body.get("to") is None:
            customer = self.store.customer(body["recipient"])
            if customer is None or customer.user_id != body["recipient"]:
                raise GraphError(131026, "The recipient is not a user of WhatsApp known to this business")
            numbers.check_recipient(state, customer.wa_id)
            return customer
        wa_id = digits(body["to"])
        if wa_id == number.digits:
            raise GraphError(131021, "Recipient phone number cannot be the sender's own")
        numbers.check_recipient(state, wa_id)
        known = self.store.customer(wa_id)
        if known is None:
            if self._window == "refuse" and body["type"] != "template":
                check_window(None, now)
            known = self.add_customer(f"+{wa_id}", wa_id, None)
            assert known is not None
        return known

    def _failure(
        self, customer: Customer, number: Number, body: Json, category: str | None, now: float
    ) -> GraphError | None:
        """What the message ends with by a status; raises what it is refused with at once."""
        if self._window != "off" and body["type"] != "template":
            try:
                check_window(self.store.last_from_customer(customer.id, number.phone_number_id), now)
            except GraphError as error:
                if self._window == "refuse":
                    raise
                return error
        if known := self.store.customer_state(customer.id):
            state = CustomerState(**known)
            trouble = numbers.customer_error(state, body, category)
            if trouble is not None and not state.by_status and trouble.code != 137000:
                raise trouble
            if trouble is not None:
                return trouble
        return acceptance.late_failure(self.store, number.phone_number_id, body, now)

    # States

    def _deliver(self, message: Message) -> None:
        # The number may have left the shops file while the simulator was stopped.
        if message.number in self.shops.by_number:
            self._advance(message, "delivered")

    def _fail(self, message: Message, code: int) -> None:
        self._advance(message, "failed", refusal(code).in_status())

    def _advance(self, message: Message, state: str, error: Json | None = None) -> None:
        """Move a message of the shop's on from the state it has here, and tell the shop by a status."""
        customer = self.store.customer(message.customer)
        assert customer is not None
        with self.store.together():
            if not self.store.move_on(message, state, error):
                return
            changed = replace(message, state=state, error=error)
            self._report(changed, customer)
        self._tell(changed)

    def _report(self, message: Message, customer: Customer) -> Hook | None:
        """The status of the message's present state; the first copy of it, unless it is never posted."""
        shop, number = self.shops.by_number[message.number]
        category = self.business.category(shop, message.body)
        document = webhooks.status(shop, number, customer, message, category, self.clock.now())
        lane, about = f"status/{message.wamid}", f"out/{message.wamid}"
        return self._post(lane, about, document, message.fault_key or message.wamid, message.state)

    def _post(self, lane: str, about: str, document: Json, key: str, status: str | None = None) -> Hook | None:
        body = webhooks.encode(document)
        hooks = []
        for copy, posting in enumerate(self.faults.webhook(key, status)):
            own = f"loose/{about}/{status}/{copy}" if posting.loose else lane
            hooks.append(self.courier.send("whatsapp", own, about, body, posting.after_seconds))
        return hooks[0] if hooks else None

    def _set_state(self, message: Message, state: str, error: Json | None = None) -> Message:
        self.store.set_state(message.wamid, state, error)
        changed = replace(message, state=state, error=error)
        self._tell(changed)
        return changed

    def _webhook_taken(self, hook: Hook) -> None:
        """A customer's message has its second tick once the shop's door has taken it; a status has told the shop."""
        direction, _, wamid = hook.about.partition("/")
        if direction == "in" and (message := self.store.message(wamid)) and message.state == "sent":
            self._set_state(message, "delivered")
        elif direction == "out":
            self.store.note_told(wamid, self.clock.now())
        elif direction == "pay":
            self.hub.tell({"event": "payment"}, hook.about)

    def _tell(self, message: Message) -> None:
        name = topic(message.customer, message.number)
        if self.hub.heard(name):
            self.hub.tell({"event": "message", "message": message.document()}, name)
