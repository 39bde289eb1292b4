"""What people of the shop asked of orders, each several times under one key, was done once. Pure."""

from collections.abc import Iterator

from panier_proof.evidence import Evidence
from panier_proof.judge.findings import Finding
from panier_proof.ledger import Ledger


def check(ledger: Ledger, evidence: Evidence) -> Iterator[Finding]:
    orders = {order["order_id"]: order for order in evidence.orders}
    for command in ledger.commands:
        order = orders.get(command.order_id)
        if order is None:
            yield Finding("effect", f"{command.order_id} was moved to {command.state} and is no order")
            continue
        times = sum(step["what"] == command.state for step in order["history"])
        what = f"order {order['number']} was moved to {command.state} {times} times"
        if times > 1:
            yield Finding("commands", what, order["conversation"], times - 1)
        elif command.taken and not times:
            yield Finding("effect", what, order["conversation"])
        elif not command.taken:
            yield Finding("quiet", f"nobody answered who moves {order['number']} to {command.state}")
