"""A ledger and the evidence of a shop that kept every promise, small enough to tamper with by hand."""

import uuid

import msgspec
from panier_proof import shop
from panier_proof.evidence import Accepted, Evidence, Inbound, Letter, OrderEvent, Requested
from panier_proof.ledger import Act, Command, Confirmation, Customer, Ledger, Payment, Planted, Reply, Seen
from panier_proof.shop import Good

GOODS = {
    "bread": Good("bread", "Bread", 300, None, "Shelf"),
    "cake": Good("cake", "Cake", 2000, 3, "Shelf"),
}
CONVERSATION = f"{shop.NUMBER}:FR.1"
ORDER, DRAFT = "0b5e9b3e-0000-5000-8000-000000000001", "d-1"
LINK = f"http://pay.example/pay/EUR/2600/{ORDER}"


class Books:
    """Two breads and a cake: confirmed thrice, paid once, accepted by the shop. Every test changes one thing."""

    def __init__(self) -> None:
        self.goods = dict(GOODS)
        self.ledger = Ledger(1, [_customer()], [Planted("panier.stock.v1", 3, 7, "stock")])
        self.ledger.commands.append(Command(ORDER, "accepted", "k-1", True))
        self.evidence = _evidence(self.ledger)

    @property
    def page(self) -> Customer:
        return self.ledger.customers[0]

    @property
    def order(self) -> dict[str, object]:
        return self.evidence.orders[0]

    def answer(self, wamid: str, request: str, seq: int, digest: str = "another") -> None:
        """A message on the phone more, of the cart's."""
        self.evidence.requested.append(Requested(request, "cart", CONVERSATION, wamid, "answer", digest))
        self.evidence.accepted.append(Accepted(seq, request, "c-1", float(seq)))
        self.evidence.conversations[CONVERSATION].append(request)

    def act(self, act: Act) -> None:
        """An action more, acknowledged and answered."""
        self.page.acts.append(act)
        self.evidence.conversations[CONVERSATION].append(act.wamid)
        self.answer(act.wamid, f"r-{act.wamid}", int(act.at))

    def copy_order(self, **changes: object) -> dict[str, object]:
        return {**self.order, "order_id": str(uuid.uuid4()), "number": "P-2", **changes}


def _customer() -> Customer:
    confirm = f"checkout:confirm:{DRAFT}"
    acts = [
        Act("w1", 1.0, {"cart": [{"sku": "bread", "quantity": 2}]}, True),
        Act("w2", 2.0, {"press": "cart:add:cake"}, True),
        Act("w3", 3.0, {"press": "checkout:start"}, True),
        Act("w4", 4.0, {"press": "checkout:collect"}, True),
        Act("w5", 5.0, {"press": confirm}, True),
        Act("w6", 5.1, {"press": confirm}, True),
        Act("w7", 5.2, {"press": confirm}, True),
    ]
    summary = Seen(
        4, "m4", 4.5, "button", "2 × Bread: €6.00\n1 × Cake: €20.00", (Reply(confirm, "Confirm", "button_reply"),)
    )
    link = Seen(5, "m5", 5.5, "cta_url", "Order P-1", (), LINK)
    order = Reply(f"checkout:order:{ORDER}", "My order", "button_reply")
    receipt = Seen(6, "m6", 6.5, "button", "Thanks!\n2 × Bread: €6.00\n1 × Cake: €20.00\n\nPaid: €26.00", (order,))
    confirmation = Confirmation(DRAFT, "collect", "", {"Bread": 2, "Cake": 1}, ["w5", "w6", "w7"], ORDER)
    payment = Payment(ORDER, "n-1", "paid", 2600)
    return Customer(
        "Customer 1", "c-1", "FR.1", None, CONVERSATION, acts, [summary, link, receipt], [confirmation], [payment]
    )


# wamid → who owns the message, and who answers it
_ANSWERED = {
    "w1": ("cart", "cart"),
    "w2": ("cart", "cart"),
    "w3": ("cart", "checkout"),
    "w4": ("checkout", "checkout"),
    "w5": ("checkout", "checkout"),
    "w6": ("checkout", "checkout"),
    "w7": ("checkout", "checkout"),
}


def _evidence(ledger: Ledger) -> Evidence:
    letter = Letter("l-1", "checkout", "panier.stock.v1", 3, 7, "DecodeError")
    requested = [
        Requested(f"r-{wamid}", source, CONVERSATION, wamid, "answer", f"digest {wamid}")
        for wamid, (_, source) in _ANSWERED.items()
    ]
    requested.append(Requested("r-receipt", "checkout", CONVERSATION, "", "news", "digest receipt"))
    return Evidence(
        inbound=[Inbound(CONVERSATION, wamid, owner) for wamid, (owner, _) in _ANSWERED.items()],
        requested=requested,
        order_events=[
            OrderEvent(ORDER, "stock.requested", "e-1"),
            OrderEvent(ORDER, "order.placed", "e-2"),
            OrderEvent(ORDER, "order.paid", "e-3"),
            OrderEvent(ORDER, "order.status-changed", "e-4"),
        ],
        accepted=[Accepted(n, request.id, "c-1", float(n)) for n, request in enumerate(requested)],
        orders=[_order()],
        products=[
            {"sku": "bread", "reserved": 0, "sold": 2, "available": None},
            {"sku": "cake", "reserved": 0, "sold": 1, "available": 2},
        ],
        conversations={CONVERSATION: [*_ANSWERED, *(request.id for request in requested)]},
        carts={page.conversation: {} for page in ledger.customers},
        letters=[letter],
        after_replay=[msgspec.structs.replace(letter, reason="DecodeError again")],
    )


def _order() -> dict[str, object]:
    return {
        "order_id": ORDER,
        "number": "P-1",
        "conversation": CONVERSATION,
        "state": "accepted",
        "lines": [{"sku": "bread", "quantity": 2}, {"sku": "cake", "quantity": 1}],
        "fulfilment": {"way": "collect", "address": None},
        "total_minor": 2600,
        "paid_minor": 2600,
        "caused_by": "w5",
        "history": [{"what": "placed"}, {"what": "paid"}, {"what": "accepted"}],
    }
