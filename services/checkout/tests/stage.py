"""A shop, one of its customers, and a stage on which the pure handlers are played without engines."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from panier_checkout.desk import Desk, Trade
from panier_checkout.draft import order_id_of
from panier_checkout.handlers import decide
from panier_checkout.order import Order
from panier_common.contracts import events as e
from panier_common.contracts import inbound as m
from panier_common.contracts.outbound import Message, offered, unpacked
from panier_common.effects import DropTimer, Effect, Publish, SetTimer
from panier_common.event import Received, inbound_id
from panier_common.words import Words
from panier_payments import OnCollection, Simulated
from panier_payments.testing import OverHttp

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
NUMBER, CUSTOMER = "106540352242922", e.Customer(user_id="FR.1", wa_id="33600000001", name="Inès")
CONVERSATION = f"{NUMBER}:FR.1"
WORDS = Words("panier_checkout")

SHOP = e.ShopConfigured(
    shop="bakery",
    version=1,
    name="Boulangerie",
    languages=("fr", "en"),
    currency="EUR",
    timezone="Europe/Paris",
    catalog_id="1",
    numbers=(e.Number(NUMBER, "+33 6 00 00 00 00", "TOKEN"),),
    collect=True,
    delivery=e.Delivery(fee_minor=450, free_from_minor=4000, minimum_minor=1500),
    payment_provider="simulated",
    expires_after_seconds=1800.0,
)
LINES = (e.Line("croissant", "Croissant", 4, 140), e.Line("tradition", "Baguette de tradition", 2, 130))
PLENTY = (e.Line("gateau", "Gâteau", 2, 1000),)


@dataclass
class FixedShops:
    by_id: dict[str, e.ShopConfigured]
    loaded: bool = True


@dataclass
class Stage:
    """Plays records in order and keeps what came of them."""

    shop: e.ShopConfigured = SHOP
    desk: Desk = field(default_factory=Desk)
    now: datetime = NOON
    conversation: str = CONVERSATION
    language: str | None = None
    customer: e.Customer = CUSTOMER
    effects: list[Effect] = field(default_factory=list)
    timers: dict[str, e.Event] = field(default_factory=dict)
    due: dict[str, datetime] = field(default_factory=dict)
    serial: int = 0
    cart_version: int = 0

    def play(self, event: e.Event, record_id: str = "", at: datetime | None = None) -> list[Effect]:
        """`at` is the record's own time, where that is not now."""
        self.serial += 1
        self.desk.now = self.now
        trade = Trade(
            FixedShops({self.shop.shop: self.shop}),
            WORDS,
            {
                "simulated": Simulated("http://localhost:8070/pay"),
                "on_collection": OnCollection(),
                "over_http": OverHttp("http://localhost:9"),
            },
        )
        record_id = record_id or inbound_id(self.conversation, str(self.serial))
        received = Received("test", 0, self.serial, record_id, at or self.now, event, {}, self.language)
        came = list(decide(trade, self.desk, received))
        for effect in came:
            match effect:
                case SetTimer(key=key, after_seconds=seconds, event=timer):
                    self.timers[key], self.due[key] = timer, self.now + timedelta(seconds=seconds)
                case DropTimer(key=key):
                    self.timers.pop(key, None)
        self.effects = came
        return came

    # The customer.

    def send(self, content: m.Content, holder: str | None = None) -> "Stage":
        """`holder` is the wamid of the message that held the pressed button."""
        self.play(
            e.MessageReceived(
                conversation=self.conversation,
                phone_number_id=NUMBER,
                customer=self.customer,
                wamid=f"wamid.{self.serial + 1}",
                at=self.now,
                content=content,
                shop=self.shop.shop,
                context=m.Context(holder) if holder is not None else None,
            )
        )
        return self

    def say(self, text: str) -> "Stage":
        return self.send(m.Text(text))

    def press(self, reply_id: str, holder: str | None = None) -> "Stage":
        return self.send(m.Reply(reply_id), holder)

    def later(self, **delta: float) -> "Stage":
        self.now += timedelta(**delta)
        return self

    # The other services.

    def checkout(
        self,
        lines: tuple[e.Line, ...] = LINES,
        last_order: str | None = None,
        note: str = "",
        wamid: str = "",
        cart_id: str = "cart",
    ) -> "Stage":
        self.cart_version += 1
        self.play(
            e.CheckoutRequested(
                conversation=self.conversation,
                phone_number_id=NUMBER,
                shop=self.shop.shop,
                customer=self.customer,
                cart_id=cart_id,
                version=self.cart_version,
                lines=lines,
                currency="EUR",
                total_minor=sum(line.total_minor for line in lines),
                at=self.now,
                wamid=wamid or f"wamid.start{self.serial}",
                note=note,
                last_order=last_order,
            )
        )
        return self

    def reserved(self, order_id: str | None = None) -> "Stage":
        self.play(e.StockReserved(self.conversation, self.shop.shop, order_id or self.asked, self.now))
        return self

    def refused(self, short: tuple[e.ShortLine, ...] = (), repriced: tuple[e.ShortLine, ...] = ()) -> "Stage":
        self.play(e.StockRefused(self.conversation, self.shop.shop, self.asked, short, repriced, self.now))
        return self

    def told(
        self,
        order: Order,
        notification: str = "n-1",
        state: str = "paid",
        minor: int | None = None,
        currency: str = "EUR",
    ) -> "Stage":
        amount = order.total_minor if minor is None else minor
        self.play(
            e.PaymentRecorded(
                self.conversation, "simulated", notification, order.order_id, state, amount, currency, self.now
            )
        )
        return self

    def fire(self, prefix: str) -> "Stage":
        """A timer is decided on when it is due, or, where the story is further already, late: as of when it was due."""
        key = next(key for key in self.timers if key.startswith(prefix))
        self.now = max(self.now, self.due[key])
        self.play(self.timers.pop(key), at=self.due[key])
        return self

    def sent(self, wamid: str = "w") -> "Stage":
        """The sender reports the messages that just went out."""
        for index, message in enumerate(self.messages):
            buttons = tuple(e.Button(i, title) for i, title in offered(message))
            self.play(e.MessageSent(self.conversation, NUMBER, str(index), wamid, message.kind, self.now, buttons))
        return self

    def placed(self, way: str = "collect", **request: Any) -> Order:
        """Order all the way to the reserved stock."""
        last = self.desk.dialogue(self.conversation).last_order
        self.checkout(last_order=last, **request).press(f"checkout:{way}")
        if way == "deliver":
            self.say("12 rue des Lilas")
        return self.press("checkout:confirm").reserved().order

    # What came of it.

    @property
    def asked(self) -> str:
        """The order id that the frozen draft asked stock for."""
        draft = self.desk.dialogue(self.conversation).draft
        assert draft is not None
        return order_id_of(draft.draft_id)

    @property
    def order(self) -> Order:
        """The order placed last."""
        last = self.desk.dialogue(self.conversation).last_order
        assert last is not None
        return self.desk.orders[self.conversation][last]

    def happened(self, kind: type[e.Event]) -> list[Any]:
        return [x.event for x in self.effects if isinstance(x, Publish) and isinstance(x.event, kind)]

    @property
    def messages(self) -> list[Message]:
        return [unpacked(request.message) for request in self.happened(e.MessageRequested)]

    @property
    def text(self) -> str:
        return "\n".join(str(getattr(message, "body", "")) for message in self.messages).replace("\xa0", " ")

    @property
    def buttons(self) -> list[str]:
        return [i for message in self.messages for i, _ in offered(message)]
