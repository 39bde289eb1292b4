"""The one literal table of topics, from which creation, ACLs, AsyncAPI and the Kubernetes resources are made.

Nothing of it is configuration: names, keys and owners are part of the contract between services.
"""

from dataclasses import dataclass
from typing import Literal

from panier_common.contracts import events as e

DEFAULT_PARTITIONS = 12
HOUR_MS = 3600 * 1000
DAY_MS = 24 * HOUR_MS
# A record is forgotten with its whole segment: it lives for the retention and as long as its segment was open.
SEGMENT_MS = DAY_MS
# Of compacted topics only closed segments are cleaned, and an append closes them (`compacted.keep_moving`, daily).
COMPACTED_SEGMENT_MS = DAY_MS // 2
# Two days until the segments of the last value and of its tombstone are closed and cleaned, one that a tombstone
# is kept for late readers, two until the next cleaning takes it.
TOMBSTONE_GONE_MS = 5 * DAY_MS


@dataclass(frozen=True)
class Topic:
    """`key` names the attribute of the events that is the record's key.

    All topics have the same number of partitions (12 by default), so that one process of a service owns
    partition p of every topic keyed by conversation, and of `outbound` and `delivery`.

    `personal` topics hold what is a customer's: nothing stays on them for good.
    """

    name: str
    key: str
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    events: tuple[type[e.Event], ...]
    cleanup: Literal["delete", "compact"] = "delete"
    retention_ms: int = 7 * DAY_MS
    personal: bool = True

    @property
    def settings(self) -> dict[str, str | int]:
        """The broker's settings of this topic, but for those that follow from the size of the cluster."""
        if self.cleanup == "delete":
            return {"cleanup.policy": "delete", "retention.ms": self.retention_ms, "segment.ms": SEGMENT_MS}
        if not self.personal:
            return {"cleanup.policy": "compact"}
        return {
            "cleanup.policy": "compact",
            "delete.retention.ms": DAY_MS,
            "max.compaction.lag.ms": COMPACTED_SEGMENT_MS,
            "segment.ms": COMPACTED_SEGMENT_MS,
        }

    @property
    def longest_kept_ms(self) -> int:
        """When nothing is left of a record; on a compacted topic, of a key after its tombstone."""
        return TOMBSTONE_GONE_MS if self.cleanup == "compact" else self.retention_ms + SEGMENT_MS + HOUR_MS


INBOUND = Topic(
    "panier.inbound.v1",
    "conversation",
    ("ingest",),
    ("catalog", "cart", "checkout", "console", "sender"),
    (e.MessageReceived,),
)
DELIVERY = Topic("panier.delivery.v1", "phone_number_id", ("ingest",), ("sender", "console"), (e.DeliveryChanged,))
ENQUIRY = Topic("panier.enquiry.v1", "conversation", ("checkout",), ("catalog", "cart", "console"), (e.EnquiryRaised,))
PRODUCT = Topic(
    "panier.product.v1",
    "shop_sku",
    ("catalog",),
    ("cart", "console"),
    (e.ProductChanged,),
    cleanup="compact",
    personal=False,
)
CART = Topic(
    "panier.cart.v1",
    "conversation",
    ("cart",),
    ("checkout", "sales", "console"),
    (e.CartChanged, e.CheckoutRequested, e.CartAbandoned),
)
ORDER = Topic(
    "panier.order.v1",
    "conversation",
    ("checkout",),
    ("catalog", "cart", "sales", "console"),
    (
        e.StockRequested,
        e.CartAsked,
        e.OrderPlaced,
        e.OrderRepeated,
        e.OrderPaid,
        e.OrderCancelled,
        e.OrderExpired,
        e.OrderStatusChanged,
        e.OrderRefunded,
    ),
)
STOCK = Topic(
    "panier.stock.v1",
    "conversation",
    ("catalog",),
    ("checkout",),
    (e.StockReserved, e.StockRefused, e.StockReleased),
)
PAYMENT = Topic("panier.payment.v1", "order_id", ("ingest",), ("checkout",), (e.PaymentNotified,))
COMMAND = Topic(
    "panier.command.v1",
    "conversation",
    ("ingest", "catalog", "cart", "checkout", "console", "sender"),
    ("catalog", "cart", "checkout", "console", "sender"),
    (
        e.PaymentRecorded,
        e.OrderAdvanced,
        e.CancelRequested,
        e.RefundRequested,
        e.ErasureRequested,
        e.CustomerErased,
        e.FloorReturned,
        e.ConversationMerged,
        e.StateMoved,
        e.EventForwarded,
    ),
)
OUTBOUND = Topic(
    "panier.outbound.v1",
    "phone_number_id",
    ("catalog", "cart", "checkout", "console", "sender"),
    ("sender", "console"),
    (e.MessageRequested, e.RecipientErased),
)
SENT = Topic(
    "panier.sent.v1",
    "conversation",
    ("sender",),
    ("cart", "checkout", "console"),
    (e.MessageSent, e.MessageFailed),
)
IDENTITY = Topic("panier.identity.v1", "pair", ("ingest",), ("ingest",), (e.CustomersLinked,), cleanup="compact")
SHOP = Topic(
    "panier.shop.v1",
    "shop",
    ("catalog",),
    ("ingest", "cart", "checkout", "sender", "sales", "console"),
    (e.ShopConfigured,),
    cleanup="compact",
    personal=False,
)
FLOOR = Topic("panier.floor.v1", "conversation", ("console",), ("checkout",), (e.FloorChanged,), cleanup="compact")
SALES = Topic("panier.sales.v1", "shop", ("sales",), ("console",), (e.SalesCounted,), personal=False)
ACCOUNT = Topic("panier.account.v1", "account", ("ingest",), ("sender",), (e.AccountChanged,))

TOPICS = (
    INBOUND,
    DELIVERY,
    ENQUIRY,
    PRODUCT,
    CART,
    ORDER,
    STOCK,
    PAYMENT,
    COMMAND,
    OUTBOUND,
    SENT,
    IDENTITY,
    SHOP,
    FLOOR,
    SALES,
    ACCOUNT,
)

# What Faust keeps of its own, under names of its making: the changes of sales' table. No events.
CHANGELOGS = (Topic("panier.sales-days-changelog", "", ("sales",), ("sales",), (), cleanup="compact", personal=False),)

BY_NAME = {topic.name: topic for topic in TOPICS}
PERSONAL = tuple(topic for topic in TOPICS if topic.personal)
TOPIC_OF: dict[type[e.Event], Topic] = {event: topic for topic in TOPICS for event in topic.events}


def key_of(event: e.Event) -> str:
    """The record's key: the event's attribute that its topic names."""
    return str(getattr(event, TOPIC_OF[type(event)].key))
