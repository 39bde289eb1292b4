"""The proof bites: whatever is lost, doubled, reordered, oversold or overcharged is found, and nothing else is."""

from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest
from panier_proof.evidence import Accepted, Letter, OrderEvent, Unowned
from panier_proof.judge import counted, judged, report_counts
from panier_proof.judge.answers import doubled_sends
from panier_proof.ledger import Act, Customer, Payment, Reply, Seen
from panier_proof.waits import waits

from .books import CONVERSATION, ORDER, Books

Tamper = Callable[[Books], object]


def broken(books: Books) -> set[str]:
    return {finding.invariant for finding in judged(books.ledger, books.evidence, books.goods)}


def test_a_shop_that_kept_its_promises_is_clean() -> None:
    books = Books()
    assert judged(books.ledger, books.evidence, books.goods) == []


def lose_order(books: Books) -> None:
    """Neither order, nor its events, nor its stock: the customer was told of it all the same."""
    books.evidence.orders.clear()
    books.evidence.order_events.clear()
    for product in books.evidence.products:
        product["sold"], product["available"] = 0, None if product["available"] is None else 3


def double_order(books: Books) -> None:
    books.evidence.orders.append(books.copy_order(caused_by="w6"))


def lose_action(books: Books) -> None:
    books.act(Act("w8", 9.0, {"cart": [{"sku": "bread", "quantity": 1}]}, True))


def double_action(books: Books) -> None:
    books.evidence.carts[CONVERSATION] = {"bread": 2}


def reorder_answers(books: Books) -> None:
    first, second = books.evidence.accepted[:2]
    books.evidence.accepted[0] = msgspec.structs.replace(first, seq=second.seq)
    books.evidence.accepted[1] = msgspec.structs.replace(second, seq=first.seq)


def miss_answer(books: Books) -> None:
    del books.evidence.accepted[3]


def miss_receipt(books: Books) -> None:
    del books.evidence.accepted[-1]


def hide_receipt(books: Books) -> None:
    del books.page.seen[-1]


def say_another_amount(books: Books) -> None:
    books.page.seen[-1] = msgspec.structs.replace(
        books.page.seen[-1], text="2 × Bread: €6.00\n1 × Cake: €20.00\n\n€27.00"
    )


def leave_a_line_out(books: Books) -> None:
    books.page.seen[-1] = msgspec.structs.replace(books.page.seen[-1], text="2 × Bread: €6.00\n\nPaid: €26.00")


def never_ask_for_answer(books: Books) -> None:
    del books.evidence.accepted[0], books.evidence.requested[0]


def answer_twice(books: Books) -> None:
    books.answer("w1", "r-again", 98, books.evidence.requested[0].digest)


def send_twice_at_once(books: Books) -> None:
    books.evidence.accepted.append(Accepted(97, books.evidence.accepted[0].id, "c-1", 3.0))


def answer_somebody_else(books: Books) -> None:
    books.ledger.customers.append(Customer("Another", "c-2", "FR.2", None, "another conversation"))
    books.evidence.accepted[0] = msgspec.structs.replace(books.evidence.accepted[0], customer="c-2")


def oversell(books: Books) -> None:
    books.goods["cake"] = replace(books.goods["cake"], stock=0)


def leak_stock(books: Books) -> None:
    books.evidence.products[1]["reserved"] = 1


def overcharge(books: Books) -> None:
    books.order["total_minor"] = books.order["paid_minor"] = 2700


def charge_unasked(books: Books) -> None:
    books.page.payments.clear()


def keep_money(books: Books) -> None:
    """A second payment that is neither a sale nor a problem for anybody."""
    books.page.payments.append(Payment(ORDER, "n-2", "paid", 2600))


def forget_payment(books: Books) -> None:
    books.order.update({"state": "awaiting_payment", "paid_minor": 0})
    books.evidence.products[0] |= {"reserved": 2, "sold": 0}
    books.evidence.products[1] |= {"reserved": 1, "sold": 0}
    del books.evidence.order_events[2:]


def pay_twice(books: Books) -> None:
    books.evidence.order_events.insert(3, OrderEvent(ORDER, "order.paid", "e-9"))


def pay_the_dead(books: Books) -> None:
    books.evidence.order_events.insert(2, OrderEvent(ORDER, "order.expired", "e-9"))


def change_lines(books: Books) -> None:
    books.order["lines"] = [{"sku": "bread", "quantity": 1}, {"sku": "cake", "quantity": 1}]


def send_elsewhere(books: Books) -> None:
    books.order["fulfilment"] = {"way": "deliver", "address": {"text": "nowhere"}}


def hide_link(books: Books) -> None:
    books.page.seen.pop()


def confirm_unpressed(books: Books) -> None:
    books.order["caused_by"] = "somebody else's"


def refuse_in_silence(books: Books) -> None:
    lose_order(books)
    books.page.seen.pop()
    books.page.payments.clear()
    books.page.confirmations[0].lines = {"Bread": 2}
    books.page.acts[1].action = {"text": "panier"}
    books.evidence.carts[CONVERSATION] = {"bread": 2}


def stumble(books: Books) -> None:
    books.evidence.letters.append(Letter("l-2", "cart", "panier.inbound.v1", 0, 5, "KeyError"))
    books.evidence.after_replay.append(books.evidence.letters[-1])


def swallow_poison(books: Books) -> None:
    books.evidence.letters.clear()
    books.evidence.after_replay.clear()


def lose_letter_by_replay(books: Books) -> None:
    books.evidence.after_replay.clear()


def leave_outbox(books: Books) -> None:
    books.evidence.loose_ends = {"cart outbox": 2}


def forget_message(books: Books) -> None:
    books.evidence.conversations[CONVERSATION].remove("w2")


def forget_answer(books: Books) -> None:
    books.evidence.conversations[CONVERSATION].remove("r-w2")


def keep_message_twice(books: Books) -> None:
    books.evidence.conversations[CONVERSATION].append("w2")


def accept_twice(books: Books) -> None:
    books.order["history"].append({"what": "accepted"})  # type: ignore[attr-defined]


def never_accept(books: Books) -> None:
    books.order["history"].pop()  # type: ignore[attr-defined]


def miscount_sales(books: Books) -> None:
    books.evidence.sales_differences = 1


def close_the_door(books: Books) -> None:
    books.page.acts.append(Act("w9", 9.0, {"text": "panier"}, False))


def stand_still(books: Books) -> None:
    """An answer comes late though somebody was there all the time."""
    books.evidence.orderly = True
    books.evidence.accepted[0] = msgspec.structs.replace(books.evidence.accepted[0], at=20.0)


def hand_over_late(books: Books) -> None:
    books.evidence.orderly = True
    books.evidence.unowned = [Unowned("cart.conversations", 3, 100.0, 111.0)]


CASES: list[tuple[Tamper, set[str]]] = [
    (lose_order, {"effect", "captured", "confirmation"}),
    (double_order, {"one_order", "once", "confirmation", "stock", "effect", "overcharged"}),
    (lose_action, {"effect"}),
    (double_action, {"once"}),
    (reorder_answers, {"order_of_answers"}),
    (miss_answer, {"answer"}),
    (miss_receipt, {"answer"}),
    (never_ask_for_answer, {"answer"}),
    (answer_twice, {"once", "order_of_answers"}),
    (send_twice_at_once, {"doubt"}),
    (oversell, {"oversold", "stock"}),
    (leak_stock, {"stock"}),
    (overcharge, {"overcharged", "confirmation"}),
    (charge_unasked, {"overcharged"}),
    (keep_money, {"captured"}),
    (forget_payment, {"captured", "confirmation"}),
    (pay_twice, {"paid_once"}),
    (pay_the_dead, {"lawful"}),
    (change_lines, {"confirmation", "effect", "overcharged", "stock"}),
    (send_elsewhere, {"confirmation"}),
    (hide_link, {"confirmation"}),
    (hide_receipt, {"confirmation"}),
    (say_another_amount, {"confirmation"}),
    (leave_a_line_out, {"confirmation"}),
    (confirm_unpressed, {"one_order"}),
    (refuse_in_silence, {"effect"}),
    (stumble, {"letters"}),
    (swallow_poison, {"letters"}),
    (lose_letter_by_replay, {"letters"}),
    (leave_outbox, {"quiet"}),
    (answer_somebody_else, {"answer", "kept"}),
    (forget_message, {"kept"}),
    (forget_answer, {"kept"}),
    (keep_message_twice, {"once"}),
    (accept_twice, {"commands"}),
    (never_accept, {"effect"}),
    (miscount_sales, {"sales"}),
    (close_the_door, {"quiet"}),
    (stand_still, {"stall"}),
    (hand_over_late, {"stall"}),
]


@pytest.mark.parametrize(("tamper", "expected"), CASES, ids=[case[0].__name__ for case in CASES])
def test_tampering_is_found(tamper: Tamper, expected: set[str]) -> None:
    books = Books()
    tamper(books)
    assert broken(books) == expected
    assert any(report_counts(counted(judged(books.ledger, books.evidence, books.goods))).values())


def test_an_answer_may_take_as_long_as_its_partition_had_no_owner_or_as_what_is_not_done_in_order() -> None:
    books = Books()
    stand_still(books)
    home = min(waits(books.ledger, books.evidence)[0].homes)
    books.evidence.unowned = [
        Unowned("cart.conversations", home, 2.0, 9.0),
        Unowned("sender.numbers", home, 10.0, 15.0),
    ]
    assert broken(books) == set()
    books.evidence.unowned = [Unowned("cart.shown", home, 2.0, 100.0)]  # for that no answer waits
    assert broken(books) == {"stall"}
    books.evidence.orderly = False
    assert broken(books) == set()


def test_a_confirmation_that_is_answered_with_another_drafts_question_is_told_to_be_none() -> None:
    """Who asked to order twice, with more in the cart the second time, confirmed what was not asked any more."""
    books = Books()
    refuse_in_silence(books)
    books.page.seen.pop()  # the link
    books.ledger.commands.clear()
    question = tuple(Reply(f"checkout:{way}", way, "button_reply") for way in ("collect", "deliver"))
    books.page.seen.append(Seen(98, "m98", 98.0, "button", "How would you like to get it?", question))
    assert broken(books) == {"effect"}, "it may be the answer to something else"
    books.answer("w6", "r-anew", 98)
    assert broken(books) == set()


def test_scarce_goods_may_be_less_than_asked_for_but_never_more() -> None:
    books = Books()
    books.page.acts[1].action = {"cart": [{"sku": "cake", "quantity": 5}]}
    assert broken(books) == set()
    books.page.acts[1].action = {"text": "panier"}
    assert broken(books) == {"once"}


def test_an_edit_counts_in_the_order_of_inbound() -> None:
    """Pressed before the cart arrived at the door, it took nothing out."""
    books = Books()
    books.act(Act("w0", -1, {"press": "cart:remove:bread"}, True))
    books.evidence.inbound.insert(0, msgspec.structs.replace(books.evidence.inbound[0], wamid="w0"))
    assert broken(books) == set()
    books.evidence.inbound.append(books.evidence.inbound.pop(0))
    assert "once" in broken(books), "removed after it was put in, it cannot be in the order"


def test_a_message_sent_again_in_doubt_is_counted_and_no_break() -> None:
    books = Books()
    books.evidence.accepted.append(Accepted(97, books.evidence.accepted[0].id, "c-1", 30.0))
    assert doubled_sends(books.evidence) == 1
    assert broken(books) == set()


@pytest.mark.parametrize(("told", "found"), [(None, set()), (18.0, set()), (8.0, {"doubt"})])
def test_a_message_is_not_sent_again_once_a_status_has_told_of_it(told: float | None, found: set[str]) -> None:
    """It came at 0, and the second time at 30: the log ended the doubt at 20, without a status or with one."""
    books = Books()
    first = books.evidence.accepted[0] = msgspec.structs.replace(books.evidence.accepted[0], at=0.0, told=told)
    books.evidence.accepted.append(Accepted(97, first.id, "c-1", 30.0))
    assert broken(books) == found


def test_whichever_of_its_calls_the_status_tells_of() -> None:
    books = Books()
    first = books.evidence.accepted[0] = msgspec.structs.replace(books.evidence.accepted[0], at=0.0, told=25.0)
    books.evidence.accepted += [Accepted(seq, first.id, "c-1", at) for seq, at in ((97, 22.0), (98, 50.0))]
    assert broken(books) == {"doubt"}, "told of before the second one's doubt was over"


def test_an_event_published_again_is_no_second_event() -> None:
    books = Books()
    books.evidence.order_events.insert(2, books.evidence.order_events[0])
    assert broken(books) == set()


def test_a_late_payment_is_a_problem_for_a_person() -> None:
    books = Books()
    hide_receipt(books)
    books.order.update({"state": "expired", "paid_minor": 0})
    books.order["history"] = [{"what": "placed"}, {"what": "expired"}, {"what": "payment_problem: expired"}]
    books.evidence.order_events[2:] = [OrderEvent(ORDER, "order.expired", "e-3")]
    books.ledger.commands.clear()
    books.evidence.products[0] |= {"sold": 0}
    books.evidence.products[1] |= {"sold": 0, "available": 3}
    assert broken(books) == set()
    books.order["history"].pop()  # type: ignore[attr-defined]
    assert broken(books) == {"captured"}
