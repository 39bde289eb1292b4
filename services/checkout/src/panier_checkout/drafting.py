"""From the request to order to the answer about the stock: the draft's questions and presses."""

import dataclasses
from datetime import timedelta

from msgspec.structs import replace
from panier_common.contracts import inbound as m
from panier_common.contracts.events import (
    Address,
    CartAsked,
    CheckoutRequested,
    Fulfilment,
    OrderCancelled,
    OrderPlaced,
    StockRefused,
    StockRequested,
)
from panier_common.effects import DropTimer, Effect, SetTimer

from panier_checkout import answers, order_answers, sessions
from panier_checkout import draft as drafts
from panier_checkout.decision import Addressee, Case, Decision, events
from panier_checkout.draft import Confirmed, Draft
from panier_checkout.fulfilment import Way, way_named
from panier_checkout.order import Order
from panier_checkout.waits import (
    REMINDED_FROM_SECONDS,
    STOCK_SECONDS,
    PaymentHalfway,
    PaymentOverdue,
    StockOverdue,
    halfway_key,
    overdue_key,
    stock_key,
)


def open_draft(case: Case, request: CheckoutRequested) -> Decision:
    """Ask how to get what is in the cart, unless it has not yet heard of the last order, which was made from it.

    A cart that was begun since holds nothing of that order. It may never hear of it: an erasure forgets carts first.
    """
    last = case.dialogue.last_order
    if last is not None and request.last_order != last and case.dialogue.last_cart in ("", request.cart_id):
        if case.dialogue.cart_asked == request.wamid:
            # The cart answered without that order: better no order than the same lines twice.
            return Decision(case.answer(*answers.no_draft(case.voice)))
        asked = CartAsked(case.conversation, case.shop.shop, request.wamid, request.at, last)
        return Decision(events(asked), dialogue=replace(case.dialogue, cart_asked=request.wamid))
    if not request.lines:
        return Decision(case.answer(*answers.no_draft(case.voice)))
    draft = drafts.opened(request)
    return _kept(case, draft, answers.ask_way(case.voice, case.shop, draft))


def choose_way(case: Case, name: str) -> Decision:
    """Collect: on to the summary. Deliver: on to the address. What cannot be had is said, and asked again."""
    draft = case.dialogue.draft
    if draft is None:
        return Decision(case.answer(*answers.no_draft(case.voice)))
    way = way_named(case.shop, draft.goods_minor, name)
    if drafts.is_stale(draft, case.at) or way is None or not way.qualifies:
        return ask_again(case, replace(draft, stage="way"))
    if way.name == "deliver":
        asking = drafts.asking_address(draft, way, case.at)
        return _kept(case, asking, answers.ask_address(case.voice))
    return summarise(case, draft, way, None)


def take_address(case: Case, draft: Draft, text: str) -> Decision:
    """Free text while the question for the address is open."""
    text = text.strip()
    if len(text) > drafts.ADDRESS_LIMIT:
        return Decision(case.answer(*answers.address_too_long(case.voice, len(text))))
    if not any(character.isalnum() for character in text):
        return Decision(case.answer(*answers.address_unreadable(case.voice)))
    return _delivered_to(case, draft, Address(text=text))


def take_place(case: Case, place: m.Location) -> Decision:
    """A shared location: the address, when one is asked for."""
    draft = case.dialogue.draft
    if draft is None or not drafts.waits_for_address(draft, case.at):
        return Decision(case.answer(*answers.unexpected_place(case.voice)))
    words = ", ".join(part for part in (place.name.strip(), place.address.strip()) if part)
    address = Address(words[: drafts.ADDRESS_LIMIT], place.latitude, place.longitude)
    return _delivered_to(case, draft, address)


def _delivered_to(case: Case, draft: Draft, address: Address) -> Decision:
    way = way_named(case.shop, draft.goods_minor, "deliver")
    if way is None or not way.qualifies:
        return ask_again(case, replace(draft, stage="way"))
    return summarise(case, draft, way, address)


def summarise(case: Case, draft: Draft, way: Way, address: Address | None, *before: str) -> Decision:
    """Show the whole order under a new id, which only its own button confirms."""
    ready = drafts.summarised(draft, way, address, drafts.draft_id_of(case.id), case.at)
    return _kept(case, ready, answers.summary(case.voice, ready, *before))


def ask_again(case: Case, draft: Draft, *before: str) -> Decision:
    """Show the present question of the draft; one that is stale is asked anew at today's rules."""
    if draft.stage == "address":
        asking = replace(draft, asked_at=case.at)
        return _kept(case, asking, answers.ask_address(case.voice, *before))
    way = way_named(case.shop, draft.goods_minor, draft.way)
    if draft.stage == "summary" and way is not None and way.qualifies:
        if way.fee_minor == draft.fee_minor and not drafts.is_stale(draft, case.at):
            return _kept(case, draft, answers.summary(case.voice, draft, *before))
        return summarise(case, draft, way, draft.address, *before)
    asking = drafts.asking_way(draft, case.at)
    return _kept(case, asking, answers.ask_way(case.voice, case.shop, asking, *before))


def confirm(case: Case, draft_id: str) -> Decision:
    """The summary is right: ask for the stock. Nothing is said until that is answered."""
    draft = case.dialogue.draft
    wanted = draft_id or case.dialogue.last_summary
    if draft is None or draft.stage != "summary" or draft.draft_id != wanted:
        ordered = case.orders.get(drafts.order_id_of(wanted)) if wanted else None
        if ordered is not None:
            return Decision(case.answer(*order_answers.detail(case.voice, ordered)))
        if draft is not None:
            return ask_again(case, draft)
        return Decision(case.answer(*answers.no_draft(case.voice)))
    if drafts.is_stale(draft, case.at) or case.to is None:
        return ask_again(case, draft)
    order_id = drafts.order_id_of(draft.draft_id)
    pressed = Confirmed(case.to.answers or "", case.at)
    frozen = replace(drafts.frozen(draft, pressed), phone_number_id=case.to.phone_number_id)
    asked = StockRequested(case.conversation, case.shop.shop, order_id, draft.lines, draft.currency, case.at)
    overdue = SetTimer(stock_key(order_id), STOCK_SECONDS, StockOverdue(case.conversation, order_id))
    return Decision((*events(asked), overdue), dialogue=replace(case.dialogue, draft=frozen))


def show_present(case: Case, draft_id: str) -> Decision:
    """What an old button is answered with: the question as it stands, else what became of its summary."""
    draft, wanted = case.dialogue.draft, draft_id or case.dialogue.last_summary
    if draft is not None:
        return ask_again(case, draft)
    ordered = case.orders.get(drafts.order_id_of(wanted)) if wanted else None
    if ordered is not None:
        return Decision(case.answer(*order_answers.detail(case.voice, ordered)))
    return Decision(case.answer(*answers.no_draft(case.voice)))


def dismiss(case: Case) -> Decision:
    """No more questions; the cart stays as it is. Not after all: a summary that was confirmed is an order."""
    ordered = case.orders.get(drafts.order_id_of(case.dialogue.last_summary)) if case.dialogue.last_summary else None
    if case.dialogue.draft is None and ordered is not None:
        return Decision(case.answer(*order_answers.detail(case.voice, ordered)))
    return Decision(case.answer(*answers.dismissed(case.voice)), dialogue=replace(case.dialogue, draft=None))


def place_order(case: Case, draft: Draft) -> Decision:
    """The stock is reserved: the order exists, and the customer can pay or knows when to.

    A provider reached over the network is asked for the link first: the answer to the press follows then.
    """
    order = _ordered(case, draft)
    placed = OrderPlaced(
        conversation=order.conversation,
        phone_number_id=order.phone_number_id,
        shop=order.shop,
        customer=order.customer,
        order_id=order.order_id,
        number=order.number,
        cart_id=draft.cart_id,
        cart_version=draft.cart_version,
        lines=order.lines,
        currency=order.currency,
        fees_minor=order.fees_minor,
        total_minor=order.total_minor,
        fulfilment=order.fulfilment,
        state=order.state,
        caused_by=order.caused_by,
        placed_at=order.placed_at,
        note=order.note,
    )
    effects: tuple[Effect, ...] = (*events(placed), DropTimer(stock_key(order.order_id)))
    to = _asker(draft)
    if order.state == "awaiting_payment":
        seconds = case.shop.expires_after_seconds
        effects += _payment_waits(order, seconds)
        if case.provider.remote:
            return replace(_placed(case, draft, order, effects), calls=(sessions.opening(case, order),))
        messages = order_answers.placed_to_pay(case.voice, order, case.link(order), seconds)
    else:
        messages = order_answers.placed_unpaid(case.voice, order)
    return _placed(case, draft, order, (*effects, *case.say(to, messages, "answer")))


def _placed(case: Case, draft: Draft, order: Order, effects: tuple[Effect, ...]) -> Decision:
    return Decision(
        effects,
        dialogue=replace(case.dialogue, draft=None, last_order=order.order_id, last_cart=draft.cart_id),
        order=order,
        history=(case.step(order, "placed", "customer"),),
    )


def _ordered(case: Case, draft: Draft) -> Order:
    to_pay = case.provider.takes_payments and draft.total_minor > 0
    due_at = case.now + timedelta(seconds=case.shop.expires_after_seconds)
    return Order(
        order_id=drafts.order_id_of(draft.draft_id),
        number=case.number,
        shop=case.shop.shop,
        phone_number_id=draft.phone_number_id,
        conversation=case.conversation,
        customer=draft.customer,
        state="awaiting_payment" if to_pay else "placed",
        payment_state="pending" if to_pay else "none",
        currency=draft.currency,
        lines=draft.lines,
        fulfilment=Fulfilment(draft.way, draft.address),
        fees_minor=draft.fee_minor,
        total_minor=draft.total_minor,
        paid_minor=0,
        placed_at=case.at,
        caused_by=draft.confirmed.wamid if draft.confirmed else "",
        provider=case.provider.name,
        note=draft.note,
        due_at=due_at if to_pay else None,
    )


def _payment_waits(order: Order, seconds: float) -> tuple[Effect, ...]:
    overdue = PaymentOverdue(order.conversation, order.order_id)
    due: tuple[Effect, ...] = (SetTimer(overdue_key(order.order_id), seconds, overdue),)
    if seconds >= REMINDED_FROM_SECONDS:
        halfway = PaymentHalfway(order.conversation, order.order_id)
        due += (SetTimer(halfway_key(order.order_id), seconds / 2, halfway),)
    return due


def refuse_order(case: Case, draft: Draft, refused: StockRefused) -> Decision:
    """Nothing was reserved. Short: the cart must change. Other prices only: the new summary, to be confirmed."""
    asked = dataclasses.replace(case, to=_asker(draft))
    dropped = (DropTimer(stock_key(refused.order_id)),)
    if refused.short or not refused.repriced:
        messages = answers.stock_short(case.voice, draft, refused)
        decision = Decision(asked.answer(*messages), dialogue=replace(case.dialogue, draft=None))
    else:
        changes = answers.price_changes(case.voice, draft, refused)
        before = [case.voice("stock.price_changed"), *changes, ""]
        decision = _at_new_prices(asked, drafts.repriced(draft, refused), before)
    return replace(decision, effects=(*dropped, *decision.effects))


def _at_new_prices(case: Case, draft: Draft, before: list[str]) -> Decision:
    way = way_named(case.shop, draft.goods_minor, draft.way)
    if way is None or not way.qualifies:
        return ask_again(case, replace(draft, stage="way"), *before)
    return summarise(case, draft, way, draft.address, *before)


def give_up_on_stock(case: Case, draft: Draft) -> Decision:
    """Nobody answered: what may still be reserved is freed, and the customer may try again."""
    order_id = drafts.order_id_of(draft.draft_id)
    cancelled = OrderCancelled(case.conversation, case.shop.shop, order_id, "panier", case.at)
    told = case.say(_asker(draft), answers.stock_silent(case.voice), "answer")
    return Decision((*events(cancelled), *told), dialogue=replace(case.dialogue, draft=None))


def _asker(draft: Draft) -> Addressee:
    pressed = draft.confirmed
    if pressed is None:
        return Addressee(draft.phone_number_id, draft.customer)
    return Addressee(draft.phone_number_id, draft.customer, pressed.wamid, pressed.at)


def _kept(case: Case, draft: Draft, messages: answers.Messages) -> Decision:
    """The draft as it is now, and what is asked about it."""
    last = draft.draft_id if draft.stage == "summary" else case.dialogue.last_summary
    return Decision(case.answer(*messages), dialogue=replace(case.dialogue, draft=draft, last_summary=last))
