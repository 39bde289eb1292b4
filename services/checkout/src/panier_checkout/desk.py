"""The working set of one batch: the rows it touches, as they were loaded and as decisions left them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from panier_common.contracts.events import ShopConfigured
from panier_common.effects import Effect
from panier_common.event import TRACEPARENT, Received
from panier_payments.provider import Provider

from panier_checkout.decision import Addressee, Call, Case, Decision, ProblemKept, Result, Step
from panier_checkout.dialogue import Dialogue
from panier_checkout.order import Order, number_of
from panier_checkout.voice import Voice, WordBook


class Shops(Protocol):
    """The shops as they are configured now."""

    @property
    def loaded(self) -> bool: ...

    @property
    def by_id(self) -> Mapping[str, ShopConfigured]: ...


@dataclass(frozen=True)
class Trade:
    """What does not change from batch to batch: shops, words and payment providers by name."""

    shops: Shops
    words: WordBook
    providers: Mapping[str, Provider]

    def languages(self, shop: str) -> tuple[str, ...]:
        return self.shops.by_id[shop].languages

    def why_not_ready(self) -> str | None:
        """Which shop wants a payment provider that is not here; None when all are."""
        for shop in self.shops.by_id.values():
            if shop.payment_provider not in self.providers:
                return f"shop {shop.shop} wants the payment provider {shop.payment_provider!r}: unknown here"
        return None


@dataclass
class Desk:
    """`orders` are by conversation, then id; `serials` holds each shop's next order number, locked.

    `changed_…` say which rows are to be saved. `asked` are orders that a provider has not answered about, known
    only where somebody is to be erased. `now` is when the batch is decided on; None: at its records' own times.
    """

    dialogues: dict[str, Dialogue] = field(default_factory=dict)
    orders: dict[str, dict[str, Order]] = field(default_factory=dict)
    serials: dict[str, int] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)
    changed_dialogues: set[str] = field(default_factory=set)
    changed_orders: dict[str, Order] = field(default_factory=dict)
    used_serials: set[str] = field(default_factory=set)
    history: list[Step] = field(default_factory=list)
    problems: list[ProblemKept] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    calls: dict[tuple[str, str], Call] = field(default_factory=dict)
    settled_calls: set[tuple[str, str]] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    now: datetime | None = None

    def dialogue(self, conversation: str) -> Dialogue:
        return self.dialogues.get(conversation) or Dialogue(conversation)

    def own_order(self, conversation: str, order_id: str) -> Order | None:
        """The order, if it is this conversation's."""
        return self.orders.get(conversation, {}).get(order_id)

    def case(
        self,
        trade: Trade,
        received: Received,
        conversation: str,
        shop_id: str,
        to: Addressee | None = None,
        at: datetime | None = None,
    ) -> Case:
        """What a handler may know about this record. Raises KeyError for a shop that is not configured."""
        shop = trade.shops.by_id[shop_id]
        return Case(
            id=received.id,
            at=at or received.at,
            now=self.now or received.at,
            conversation=conversation,
            shop=shop,
            dialogue=self.dialogue(conversation),
            orders=self.orders.get(conversation, {}),
            number=number_of(shop_id, self.serials.get(shop_id, 0)),
            providers=trade.providers,
            voice=Voice(trade.words, received.language or shop.languages[0], shop.timezone),
            to=to,
            home=received.partition,
            traceparent=received.headers.get(TRACEPARENT),
        )

    def take(self, decision: Decision) -> tuple[Effect, ...]:
        """Put the rows of a decision in place; its effects."""
        if decision.dialogue is not None:
            conversation = decision.dialogue.conversation
            if decision.dialogue != self.dialogue(conversation):
                self.dialogues[conversation] = decision.dialogue
                self.changed_dialogues.add(conversation)
        if decision.order is not None:
            self._keep_order(decision.order)
        self.history += decision.history
        if decision.problem is not None:
            self.problems.append(decision.problem)
        if decision.result is not None:
            self.results.append(decision.result)
            self.answered.add(decision.result.key)
        for done in decision.settled:
            self.calls.pop(done, None)
            self.settled_calls.add(done)
        self.calls.update({(call.order_id, call.what): call for call in decision.calls})
        return decision.effects

    def adopt(self, order: Order) -> None:
        """An order that was another conversation's until now."""
        self.orders.setdefault(order.conversation, {})[order.order_id] = order
        self.changed_orders[order.order_id] = order

    def _keep_order(self, order: Order) -> None:
        known = self.orders.setdefault(order.conversation, {})
        if order.order_id not in known:
            self.serials[order.shop] = self.serials.get(order.shop, 0) + 1
            self.used_serials.add(order.shop)
        known[order.order_id] = self.changed_orders[order.order_id] = order
