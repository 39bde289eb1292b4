"""The databases are destroyed and restored in the middle of the day: nothing is lost and nothing happens twice."""

import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from stack import NUMBER, SHOP, Customer, Stack, eventually, link_of, words_of

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("restored"))
    try:
        yield stack.start()
    finally:
        stack.stop()


def buy(stack: Stack, customer: Customer, sku: str, quantity: int) -> dict[str, Any]:
    """From the cart to the link to pay; the order."""
    customer.act(cart=[{"sku": sku, "quantity": quantity}])
    customer.answers(lambda new: "checkout:start" in words_of(new))
    customer.press("checkout:start", enough=lambda new: "checkout:collect" in words_of(new))
    customer.press("checkout:collect", enough=lambda new: "checkout:confirm" in words_of(new))
    answers = customer.press("checkout:confirm:", enough=lambda new: link_of(new) is not None)
    link = link_of(answers)
    assert link is not None
    order: dict[str, Any] = stack.ask("orders", "show", link.partition("?")[0].rpartition("/")[2])
    return order


def pay(stack: Stack, customer: Customer, order: dict[str, Any], notification: str) -> None:
    assert stack.pay(order, notification) == 200
    customer.answers(lambda new: order["number"] in words_of(new))
    eventually("the payment", lambda: stack.ask("orders", "show", order["order_id"])["payment_state"] == "paid")


def stock(stack: Stack, sku: str) -> tuple[int, int]:
    [found] = [p for p in stack.ask("catalog", "list", "--shop", SHOP) if p["sku"] == sku]
    return found["reserved"], found["sold"]


def test_reads_on_after_a_restore_without_loss_or_doubles(own: Stack, tmp_path: pathlib.Path) -> None:
    early, late = Customer(own, "Anne"), Customer(own, "Bea")
    first = buy(own, early, "croissant", 2)

    backup = tmp_path / "backup"
    written = own.ask("backup", str(backup))
    assert set(written["services"]) == {"catalog", "cart", "checkout", "sender", "console"}
    assert all(one["positions"] for name, one in written["services"].items())
    again = own.panier("backup", str(backup), check=False)
    assert again[0] == 1, "a backup is never written over"

    # What follows is on the topics alone once the databases are gone.
    pay(own, early, first, "pay-first")
    second = buy(own, late, "croissant", 3)
    pay(own, late, second, "pay-second")
    late.act(text="bonjour")
    late.answers()
    eventually("the topics to tell of every message that it was sent", lambda: all_told(own, early, late), 60)
    seen = {who: who.received() for who in (early, late)}
    assert own.panier("restore", str(backup), check=False)[0] == 1, "restored under running services"

    own.stop()
    shutil.rmtree(own.folder / "data" / "postgres")
    code, told = own.panier("restore", str(backup))
    assert code == 0
    assert told["services"]["checkout"]["published"] > 0
    assert told["services"]["sender"]["done"] > 0
    own.start()

    def is_as_before() -> bool:
        orders = {order["order_id"]: order for order in own.ask("orders", "list", "--shop", SHOP)}
        return all(
            order["order_id"] in orders
            and orders[order["order_id"]]["payment_state"] == "paid"
            and orders[order["order_id"]]["number"] == order["number"]
            for order in (first, second)
        )

    eventually("both orders to be paid again", is_as_before, 60)
    eventually("the stock to add up", lambda: stock(own, "croissant") == (0, 5), 60)
    eventually("everything to be read", lambda: caught_up(own), 60)
    for who, before in seen.items():
        assert words_of(who.received()[len(before) :]) == "[]", "somebody got a message twice"
    assert own.ask("payments", "problems") == [], "a payment was read before its order was placed again"
    third = buy(own, late, "pain-campagne", 1)
    pay(own, late, third, "pay-third")
    assert second["number"] not in words_of(late.received()[len(seen[late]) :])
    assert own.ask("dead", "list") == []
    eventually("the sales to agree", lambda: own.ask("sales", "verify")["equal"], 60)


def all_told(stack: Stack, *customers: Customer) -> bool:
    """Whether each of their messages is known to be sent: one that is not may be in doubt, and then goes twice."""
    found = [stack.ask("messages", "list", "--number", NUMBER, "--customer", who.user_id) for who in customers]
    states = [message["state"] for messages in found for message in messages if message["direction"] == "out"]
    return len(states) == sum(len(who.received()) for who in customers) and "queued" not in states


def caught_up(stack: Stack) -> bool:
    lags = [lag["records"] for service in stack.ask_status()["services"] for lag in service["lag"].values()]
    return bool(lags) and not any(lags)
