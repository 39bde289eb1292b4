"""A customer whose ids change keeps the cart, the question that is open, and the orders: over the running services."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from stack import CATALOG, NUMBER, SHOP, Customer, Stack, eventually, reply_ids, words_of

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


class Person:
    """Somebody who writes by the ids that a test says: webhooks of the test's own making."""

    def __init__(self, stack: Stack, name: str, phone: str) -> None:
        self.phone_seen = Customer(stack, name, wa_id=phone)  # where the answers arrive
        self.phone_seen.act(text="bonjour")  # Meta's window is open
        self.phone_seen.answers(has("catalog:menu"))
        self.stack = stack
        self.phone = phone
        self.said = 0

    def says(self, message: dict[str, Any], times: int = 1, **ids: str) -> None:
        self.said += 1
        wamid = f"wamid.merge.{self.phone}.{self.said}"
        whole = {"id": wamid, "timestamp": str(int(time.time())), **message, **ids}
        value = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": NUMBER}, "messages": [whole]}
        change = {"field": "messages", "value": value}
        body = {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}
        assert [self.stack.webhook(body) for _ in range(times)] == [200] * times

    def cart(self, customer: str) -> dict[str, int]:
        found = self.stack.panier("carts", "show", "--number", NUMBER, "--customer", customer, check=False)[1]
        return {line["sku"]: line["quantity"] for line in (found or {}).get("lines", [])}

    def orders(self) -> list[dict[str, Any]]:
        return [o for o in self.stack.ask("orders", "list", "--shop", SHOP) if o["customer"]["wa_id"] == self.phone]


def has(prefix: str) -> Callable[[list[dict[str, Any]]], bool]:
    return lambda messages: any(i.startswith(prefix) for m in messages for i in reply_ids(m["body"]))


def wants(sku: str, quantity: int) -> dict[str, Any]:
    item = {"product_retailer_id": sku, "quantity": quantity, "item_price": 1.4, "currency": "EUR"}
    return {"type": "order", "order": {"catalog_id": CATALOG, "product_items": [item]}}


def press(reply: str) -> dict[str, Any]:
    given = {"type": "button_reply", "button_reply": {"id": reply, "title": "…"}}
    return {"type": "interactive", "interactive": given}


def ordered(person: Person, **ids: str) -> None:
    before = len(person.orders())
    for reply, then in (("checkout:start", "checkout:collect"), ("checkout:collect", "checkout:confirm:")):
        person.says(press(reply), **ids)
        person.phone_seen.answers(has(then))
    person.says(press("checkout:confirm"), **ids)
    eventually("the order", lambda: len(person.orders()) > before)
    person.phone_seen.answers()


def test_known_by_phone_yesterday_and_by_user_id_today(stack: Stack) -> None:
    person = Person(stack, "Léon", "33612340101")
    user = person.phone_seen.user_id
    person.says(wants("croissant", 4), times=3, **{"from": person.phone})
    person.phone_seen.answers(has("checkout:start"))
    person.says(wants("tradition", 2), times=2, **{"from": person.phone, "from_user_id": user})
    person.phone_seen.answers(has("checkout:start"))
    assert person.cart(person.phone) == {"croissant": 4, "tradition": 2}
    person.says(wants("croissant", 1), from_user_id=user)
    eventually("one cart by either id", lambda: person.cart(user) == {"croissant": 5, "tradition": 2})
    assert person.cart(person.phone) == person.cart(user)
    person.phone_seen.answers()
    ordered(person, **{"from": person.phone, "from_user_id": user})
    eventually("the ordered lines to leave the cart", lambda: person.cart(user) == {})


def test_a_new_user_id_finds_the_cart_the_open_question_and_the_orders(stack: Stack) -> None:
    person = Person(stack, "Maud", "33612340102")
    old, new = "FR.9" + person.phone, "FR.1" + person.phone  # the lesser is the new one: all has to move
    ids = {"from": person.phone, "from_user_id": old}
    person.says(wants("croissant", 3), **ids)
    person.phone_seen.answers(has("checkout:start"))
    ordered(person, **ids)
    person.says(wants("tradition", 2), **ids)
    person.phone_seen.answers(has("checkout:start"))
    person.says(press("checkout:start"), **ids)
    person.phone_seen.answers(has("checkout:collect"))

    changed = {"type": "system", "system": {"type": "user_changed_user_id", "user_id": new, "body": "…"}}
    person.says(changed, times=3, **ids)
    ids["from_user_id"] = new
    eventually("the cart under the new id", lambda: person.cart(new) == {"tradition": 2})
    person.says(press("checkout:collect"), **ids)
    person.phone_seen.answers(has("checkout:confirm:"))
    person.says(press("checkout:confirm"), **ids)
    eventually("the second order", lambda: len(person.orders()) == 2)
    assert {order["conversation"] for order in person.orders()} == {f"{NUMBER}:{new}"}
    eventually("the ordered lines to leave the cart", lambda: person.cart(new) == {})
    person.phone_seen.answers()

    person.says({"type": "text", "text": {"body": "commandes"}}, **ids)
    listed = person.phone_seen.answers(lambda messages: len(order_rows(messages)) == 2)
    assert order_rows(listed) == {order["order_id"] for order in person.orders()}
    first = min(person.orders(), key=lambda order: order["placed_at"])
    assert stack.pay(first, f"pay-{person.phone}") == 200
    eventually("the first order to be paid", lambda: stack.ask("orders", "show", first["order_id"])["state"] == "paid")
    assert words_of(person.phone_seen.answers())
    assert stack.ask("dead", "list") == []


def order_rows(messages: list[dict[str, Any]]) -> set[str]:
    found = [i for message in messages for i in reply_ids(message["body"])]
    return {i.removeprefix("checkout:order:") for i in found if i.startswith("checkout:order:")}
