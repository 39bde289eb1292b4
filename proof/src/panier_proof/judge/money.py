"""Money captured equals orders paid: once, in full, and what is more or too late is a problem for a person. Pure."""

from collections.abc import Iterator

from panier_proof.evidence import Evidence, Json
from panier_proof.judge.findings import Finding
from panier_proof.ledger import Ledger, Payment

SOLD = frozenset({"paid", "accepted", "ready", "on_the_way", "completed"})
_TOO_LATE = frozenset({"cancelled", "expired"})
_PROBLEM = "payment_problem"


def check(ledger: Ledger, evidence: Evidence) -> Iterator[Finding]:
    captured: dict[str, list[Payment]] = {}
    for page in ledger.customers:
        for payment in page.payments:
            if payment.state == "paid":
                captured.setdefault(payment.order_id, []).append(payment)
    for order in evidence.orders:
        yield from _settled(order, captured.get(order["order_id"], []))
    known = {order["order_id"] for order in evidence.orders}
    for order_id in captured.keys() - known:
        yield Finding("captured", f"{order_id} was paid and is no order")


def _settled(order: Json, captured: list[Payment]) -> Iterator[Finding]:
    number, state, conversation = order["number"], order["state"], order["conversation"]
    paid, total = order["paid_minor"], order["total_minor"]
    problems = sum(step["what"].startswith(_PROBLEM) for step in order.get("history", ()))
    if paid > total or (paid and not captured):
        yield Finding(
            "overcharged", f"order {number} has {paid} of {total} with {len(captured)} payments", conversation
        )
    if not captured:
        return
    if state in SOLD:
        if paid != total:
            yield Finding("captured", f"order {number} is {state} with {paid} of {total}", conversation)
    elif state not in _TOO_LATE:
        yield Finding("captured", f"order {number} is {state} though {len(captured)} payments came", conversation)
        return
    expected = len(captured) - (state in SOLD)
    if problems < expected:
        less = expected - problems
        yield Finding("captured", f"order {number}: {less} payments are neither a sale nor a problem", conversation)
    elif problems > expected:
        yield Finding("paid_once", f"order {number}: {problems} problems of {expected} payments", conversation)
