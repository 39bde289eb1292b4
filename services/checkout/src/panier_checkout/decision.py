"""What a handler is given and what it gives back; both are values, nothing here reads or writes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct
from panier_common.contracts.events import Customer, Event, MessageRequested, ShopConfigured, Template
from panier_common.contracts.outbound import Message, packed
from panier_common.effects import Effect, Publish
from panier_payments.provider import Payable, Provider

from panier_checkout import templates
from panier_checkout.dialogue import Dialogue
from panier_checkout.order import Order
from panier_checkout.voice import Voice


class Step(Struct, frozen=True):
    """One line of an order's history: `by` is customer, shop, panier (a timer) or a payment provider."""

    order_id: str
    at: datetime
    what: str
    by: str


class ProblemKept(Struct, frozen=True):
    """A payment that is no sale, for a person to look at. `order_id` is what the provider said."""

    order_id: str
    conversation: str | None
    provider: str
    notification_id: str
    reason: str
    minor: int
    currency: str
    at: datetime


class Result(Struct, frozen=True):
    """The answer to a command of a person, by its idempotency key. `code` is empty when it was done."""

    key: str
    order_id: str
    at: datetime
    code: str = ""
    detail: str = ""
    hint: str = ""


class Call(Struct, frozen=True):
    """A provider reached over the network is to open an order's session, or to close it.

    `home` is the conversation's, whose owner asks; `session_id` is empty for what is to be opened.
    """

    order_id: str
    what: Literal["open", "close"]
    home: int
    conversation: str
    provider: str
    session_id: str
    minor: int
    currency: str
    traceparent: str | None = None


class Addressee(Struct, frozen=True):
    """Whom a message is for, and the wamid and time of the message of theirs that it answers, if any."""

    phone_number_id: str
    customer: Customer
    answers: str | None = None
    answers_at: datetime | None = None


@dataclass(frozen=True)
class Case:
    """All that a handler may know: `orders` are the conversation's that the record could be about.

    `number` is the one that an order placed now would get. `to` is None when nobody waits for an answer.
    `at` is the record's own time, of a timer when it was due: long before `now`, if checkout was away.
    `home` and `traceparent` are for what is asked outside because of it.
    """

    id: str
    at: datetime
    now: datetime
    conversation: str
    shop: ShopConfigured
    dialogue: Dialogue
    orders: Mapping[str, Order]
    number: str
    providers: Mapping[str, Provider]
    voice: Voice
    to: Addressee | None = None
    home: int = 0
    traceparent: str | None = None

    def find(self, reference: str) -> Order | None:
        """This conversation's order with that id or number."""
        wanted = reference.strip()
        found = self.orders.get(wanted.lower())
        if found is not None:
            return found
        return next((order for order in self.orders.values() if order.number == wanted.upper()), None)

    @property
    def provider(self) -> Provider:
        """Who takes the money of an order placed now."""
        return self.providers[self.shop.payment_provider]

    def is_remote(self, order: Order) -> bool:
        """Whether the provider that the order was placed with is reached over the network."""
        provider = self.providers.get(order.provider)
        return provider is not None and provider.remote

    def link(self, order: Order) -> str:
        """Where the order can be paid, with the provider that it was placed with; empty before it told."""
        if order.pay_url:
            return order.pay_url
        payable = Payable(order.order_id, order.total_minor, order.currency)
        return self.providers[order.provider].link(payable) or ""

    def due_at(self, order: Order) -> datetime:
        """When its time to pay is over; of an order that does not know, by the shop's present rule."""
        return order.due_at or order.placed_at + timedelta(seconds=self.shop.expires_after_seconds)

    def answer(self, *messages: Message) -> tuple[Effect, ...]:
        """Answers to the message that this is about."""
        if self.to is None:
            raise ValueError("there is no message to answer")
        return self.say(self.to, messages, "answer")

    def tell(
        self, order: Order, messages: Sequence[Message], lane: str = "news", template: Template | None = None
    ) -> tuple[Effect, ...]:
        """What nobody asked for, to the customer of an order. Late, a template goes: how the order stands, unless
        another one is given.
        """
        late = template or templates.news(self.voice, order)
        return self.say(Addressee(order.phone_number_id, order.customer), messages, lane, late)

    def reply_to(self, order: Order, messages: Sequence[Message]) -> tuple[Effect, ...]:
        """Answers to the press that placed the order, which had to wait for its provider."""
        to = Addressee(order.phone_number_id, order.customer, order.caused_by or None, order.placed_at)
        return self.say(to, messages, "answer")

    def say(
        self, to: Addressee, messages: Sequence[Message], lane: str, template: Template | None = None
    ) -> tuple[Effect, ...]:
        """`template` stands for all of them, and so goes with the first. Of who was erased there is nobody to tell."""
        if to.customer == Customer():
            return ()
        return tuple(
            Publish(
                MessageRequested(
                    phone_number_id=to.phone_number_id,
                    conversation=self.conversation,
                    shop=self.shop.shop,
                    customer=to.customer,
                    message=packed(message),
                    lane=lane,
                    answers=to.answers,
                    answers_at=to.answers_at,
                    template=None if place else template,
                )
            )
            for place, message in enumerate(messages)
        )

    def step(self, order: Order, what: str, by: str) -> Step:
        return Step(order.order_id, self.at, what, by)


class Decision(Struct, frozen=True):
    """Rows as they should be now, and what follows; None and empty: unchanged.

    `calls` are to be made of providers; `settled` are answered by this, or wanted no more, by order and what.
    """

    effects: tuple[Effect, ...] = ()
    dialogue: Dialogue | None = None
    order: Order | None = None
    history: tuple[Step, ...] = ()
    problem: ProblemKept | None = None
    result: Result | None = None
    calls: tuple[Call, ...] = ()
    settled: tuple[tuple[str, str], ...] = ()


NOTHING = Decision()


def events(*happened: Event) -> tuple[Effect, ...]:
    return tuple(Publish(event) for event in happened)
