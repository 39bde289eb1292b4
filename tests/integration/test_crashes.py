"""Six services are killed with -9 between two of their steps, with work in hand, and everything still happens once.

The fail points are named at the start of a stack of this module's own; each kills its service once and leaves a mark
that says how many records were in hand. Afterwards effects are counted.
"""

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from stack import SHOP, Customer, Stack, eventually, link_of, reply_ids, words_of

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1200)]

STEPS = ("before_commit", "before_publish", "after_publish", "after_delete", "after_take_over")
LOOPS = ("catalog.browsing", "cart.conversations", "checkout.conversations", "sender.numbers")
POINTS = (
    "before_answer:ingest",
    *(f"{step}:{loop}" for loop in LOOPS for step in STEPS),
    *(f"{step}:catalog.stock" for step in STEPS if step != "after_publish"),  # one purchase has nothing left to publish
    "before_commit:checkout.payments",
    "before_publish:checkout.payments",
    "before_commit:sender.windows",
    "before_call:sender",
    "after_call:sender",
    "before_commit:console.conversations",
    "before_publish:console.conversations",
    "before_commit:console.deliveries",
)
# A step may take seven lives of one service; on a busy machine each begins after ten seconds.
MANY_LIVES = 240


@pytest.fixture(scope="module")
def crashing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, pathlib.Path]]:
    folder = tmp_path_factory.mktemp("crashing")
    marks = folder / "marks"
    marks.mkdir()
    stack = Stack(
        folder,
        {
            "PANIER_FAIL_POINTS": ",".join(POINTS),
            "PANIER_FAIL_MARKS": str(marks),
            "PANIER_SENDER_DOUBT_SECONDS": "3",
        },
    )
    try:
        yield stack.start(), marks
    finally:
        stack.stop()


def pressed(customer: Customer, prefix: str) -> None:
    def there() -> str | None:
        ids = [i for message in customer.received() for i in reply_ids(message["body"])]
        return next((i for i in reversed(ids) if i.startswith(prefix)), None)

    customer.act(press=eventually(f"a button {prefix}", there, MANY_LIVES))


def answered(stack: Stack, *words: str) -> Any:
    """The command's answer, however often the service it asks is killed meanwhile."""

    def ask() -> tuple[Any] | None:
        code, document = stack.panier(*words, check=False)
        return (document,) if code == 0 else None

    return eventually(f"an answer to {words}", ask, MANY_LIVES)[0]


def test_a_purchase_survives_a_kill_at_every_step(crashing: tuple[Stack, pathlib.Path]) -> None:
    stack, marks = crashing
    customer = Customer(stack, "Anne", wa_id="33612349999")
    customer.act(text="bonjour")
    pressed(customer, "catalog:menu")
    customer.act(cart=[{"sku": "croissant", "quantity": 3}, {"sku": "pain-campagne", "quantity": 1}])
    pressed(customer, "checkout:start")
    pressed(customer, "checkout:collect")
    pressed(customer, "checkout:confirm:")
    link = eventually("the link to pay", lambda: link_of(customer.received()), MANY_LIVES)
    order_id = link.partition("?")[0].rpartition("/")[2]
    order = answered(stack, "orders", "show", order_id)
    assert order["total_minor"] == 3 * 140 + 320
    for _ in range(3):
        eventually("the notification to be taken", lambda: stack.pay(order, "pay-crash") == 200, MANY_LIVES)

    eventually(
        "the order to be paid",
        lambda: answered(stack, "orders", "show", order_id)["payment_state"] == "paid",
        MANY_LIVES,
    )
    eventually("the receipt", lambda: "7,40" in words_of(customer.received()[-1:]), MANY_LIVES)
    customer.act(text="conseiller")
    eventually("a person to be called", lambda: answered(stack, "conversations", "waiting", "--shop", SHOP), MANY_LIVES)
    died = {mark.name: int(mark.read_text()) for mark in marks.iterdir()}
    assert set(POINTS) <= set(died), f"nobody died at {set(POINTS) - set(died)}"
    assert all(count > 0 for count in died.values()), "somebody died with nothing in hand"

    eventually("the stack to be ready again", stack.is_ready, MANY_LIVES)
    [paid] = stack.ask("orders", "list", "--shop", SHOP)
    assert (paid["state"], paid["paid_minor"]) == ("paid", 740)
    stock = {p["sku"]: p for p in stack.ask("catalog", "list", "--shop", SHOP)}
    assert (stock["croissant"]["reserved"], stock["croissant"]["sold"]) == (0, 3)
    assert (stock["pain-campagne"]["reserved"], stock["pain-campagne"]["sold"]) == (0, 1)
    assert stack.ask("dead", "list") == []
    # The journal ends the doubt by the log: a message in doubt is sent again only if no status told of it.
    answers = words_of(customer.received())
    assert answers.count('"checkout:confirm:') == 1, "the summary came twice"
    assert sum(link_of([m]) is not None for m in customer.received()) == 1, "the link came twice"

    eventually("the sales", lambda: stack.ask("sales", "verify")["equal"], 60)
