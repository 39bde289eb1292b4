"""From cart to order: what checkout is asked, and what an order takes out or brings back."""

from panier_cart.cart import Product
from panier_cart.handlers import Decision, request_checkout_again, take_in_again, take_out_order
from panier_common.contracts.events import (
    CartAsked,
    Fulfilment,
    Line,
    MessageRequested,
    OrderPlaced,
    OrderRepeated,
)

from .story import (
    CONVERSATION,
    CUSTOMER,
    EMPTY,
    NOON,
    NUMBER,
    SHELF,
    SHOP,
    START,
    TWO_CROISSANTS,
    buttons,
    changes,
    messages,
    new_cart,
    order,
    quantities,
    requests,
    said,
    told,
)


def placed(cart, order_id="order-1", *, lines=None, version=None, cart_id=None, note="") -> OrderPlaced:
    """An order of what is in this cart, unless told otherwise."""
    lines = tuple(line.published() for line in cart.lines) if lines is None else lines
    return OrderPlaced(
        conversation=CONVERSATION,
        phone_number_id=NUMBER,
        shop=SHOP,
        customer=CUSTOMER,
        order_id=order_id,
        number="A-12",
        cart_id=cart.cart_id if cart_id is None else cart_id,
        cart_version=cart.version if version is None else version,
        lines=lines,
        currency="EUR",
        fees_minor=0,
        total_minor=sum(line.total_minor for line in lines),
        fulfilment=Fulfilment("collect"),
        state="awaiting_payment",
        caused_by="wamid.confirm",
        placed_at=NOON,
        note=note,
    )


def test_ordering_asks_checkout_with_this_versions_lines():
    decision = told(new_cart(), order(("croissant", 2), text="Bien cuits"), START)
    [request] = requests(decision)
    assert (request.version, request.cart_id) == (1, decision.cart.cart_id)
    assert (request.lines, request.total_minor) == (
        (Line("croissant", "Croissant au beurre", 2, 140),),
        280,
    )
    assert (request.note, request.last_order) == ("Bien cuits", None)
    assert messages(decision.events) == []
    assert quantities(decision.cart) == {"croissant": 2}


def test_ordering_at_a_new_price_says_so_and_asks_with_the_new_one():
    cart = told(new_cart(), TWO_CROISSANTS).cart
    decision = told(cart, START, shelf={"croissant": Product("croissant", "Croissant au beurre", 150, False)})
    assert "vous aviez vu 1,40\xa0€" in said(decision)
    [request] = requests(decision)
    assert (request.version, request.total_minor) == (2, 300)
    assert [type(event).__name__ for event in decision.events] == [
        "CartChanged",
        "CheckoutRequested",
        "MessageRequested",
    ]


def test_ordering_what_sold_out_meanwhile_asks_nothing():
    cart = told(new_cart(), TWO_CROISSANTS).cart
    decision = told(cart, START, shelf={"croissant": Product("croissant", "Croissant au beurre", 140, True)})
    assert requests(decision) == []
    assert "épuisé" in said(decision)
    assert buttons(decision) == ["catalog:menu", "checkout:orders"]


def test_an_order_takes_its_lines_out_and_leaves_what_came_later():
    cart = told(new_cart(), order(("croissant", 2), text="Bien cuits"), START).cart
    later = told(cart, order(("croissant", 1), ("tradition", 1), text="Et un sac")).cart
    decision = take_out_order(later, placed(cart, note="Bien cuits"))
    assert quantities(decision.cart) == {"croissant": 1, "tradition": 1}
    assert (decision.cart.note, decision.cart.last_order) == ("Et un sac", "order-1")
    [changed] = decision.events
    assert changed.version == 3
    [request] = requests(told(decision.cart, START))
    assert request.last_order == "order-1"


def test_an_order_of_an_emptied_cart_takes_nothing_from_the_next():
    cart = told(new_cart(), TWO_CROISSANTS).cart
    filled_again = told(cart, EMPTY, order(("croissant", 3))).cart
    decision = take_out_order(filled_again, placed(cart))
    assert quantities(decision.cart) == {"croissant": 3}
    assert (decision.events, decision.cart.last_order) == ((), "order-1")


def test_an_order_told_twice_counts_once():
    cart = told(new_cart(), order(("croissant", 5))).cart
    event = placed(cart, lines=(Line("croissant", "Croissant au beurre", 2, 140),))
    once = take_out_order(cart, event)
    assert take_out_order(once.cart, event) == Decision(once.cart)
    assert quantities(once.cart) == {"croissant": 3}


def test_the_same_again_comes_in_at_todays_prices():
    lines = (Line("croissant", "Croissant au beurre", 2, 120), Line("flan", "Flan", 1, 350))
    event = OrderRepeated(CONVERSATION, NUMBER, SHOP, CUSTOMER, "order-1", lines, NOON, "wamid.again")
    decision = take_in_again(new_cart(), event, SHELF, "fr")
    assert decision.cart.total_minor == 280
    assert "1,40\xa0€ maintenant (vous aviez vu 1,20\xa0€)" in said(decision)
    assert "Flan : n’est plus au catalogue" in said(decision)
    assert {requested.answers for requested in decision.events if isinstance(requested, MessageRequested)} == {
        "wamid.again"
    }
    assert len(changes(decision)) == 1


ASKED = CartAsked(CONVERSATION, SHOP, "wamid.start", NOON, "order-1")


def test_asked_anew_the_cart_says_what_it_holds_now():
    cart = told(new_cart(), TWO_CROISSANTS, order(("tradition", 1))).cart
    left = take_out_order(cart, placed(cart, lines=(cart.lines[0].published(),))).cart
    [request] = requests(request_checkout_again(left, ASKED, SHELF, "fr"))
    assert (request.wamid, request.last_order) == ("wamid.start", "order-1")
    assert [line.sku for line in request.lines] == ["tradition"]


def test_asked_anew_an_empty_cart_is_said_to_be_empty():
    cart = told(new_cart(), TWO_CROISSANTS).cart
    emptied = take_out_order(cart, placed(cart)).cart
    decision = request_checkout_again(emptied, ASKED, SHELF, "fr")
    assert "vide" in said(decision)
    assert requests(decision) == []
