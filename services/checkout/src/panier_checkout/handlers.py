"""Checkout's table of contents: which event is decided where."""

from collections.abc import Callable, Sequence

from msgspec.structs import replace
from panier_common import routing
from panier_common.contracts import events as e
from panier_common.contracts import inbound as m
from panier_common.effects import Effect
from panier_common.event import Received

from panier_checkout import answers, commands, drafting, erasure, following, paying, sessions
from panier_checkout import dialogue as dialogues
from panier_checkout import draft as drafts
from panier_checkout.decision import NOTHING, Addressee, Case, Decision, Result, events
from panier_checkout.desk import Desk, Trade
from panier_checkout.sessions import OpeningDelayed, SessionEnded, SessionOpened
from panier_checkout.waits import PaymentHalfway, PaymentOverdue, StockOverdue

Press = Callable[[Case, str], Decision]

PRESSES: dict[str, Press] = {
    "collect": lambda case, _: drafting.choose_way(case, "collect"),
    "deliver": lambda case, _: drafting.choose_way(case, "deliver"),
    "confirm": drafting.confirm,
    "dismiss": lambda case, _: drafting.dismiss(case),
    "orders": lambda case, _: following.my_orders(case),
    "order": following.with_order(following.show_order),
    "pay": following.with_order(following.pay_order),
    "cancel": following.with_order(following.cancel_order),
    "again": following.with_order(following.repeat_order),
}
# What an old button shows instead of what it once offered to do.
PRESENT: dict[str, Press] = {
    "collect": drafting.show_present,
    "deliver": drafting.show_present,
    "confirm": drafting.show_present,
    "dismiss": drafting.show_present,
    "cancel": following.with_order(following.show_order),
    "again": following.with_order(following.show_order),
}


def decide(trade: Trade, desk: Desk, received: Received) -> Sequence[Effect]:
    """The loop over conversations: one record after the other, in the order of their partitions."""
    match received.event:
        case e.MessageReceived() as message:
            return _message(trade, desk, received, message)
        case e.CheckoutRequested() as request:
            return _request(trade, desk, received, request)
        case e.StockReserved() | e.StockRefused() | StockOverdue() as answer:
            return _stock(trade, desk, received, answer)
        case e.PaymentRecorded() | PaymentHalfway() | PaymentOverdue() as money:
            return _money(trade, desk, received, money)
        case SessionOpened() | SessionEnded() | OpeningDelayed() as answer:
            return _provider(trade, desk, received, answer)
        case e.OrderAdvanced() | e.CancelRequested() | e.RefundRequested() as command:
            return _command(trade, desk, received, command)
        case e.ErasureRequested() as asked:
            return _erasure(desk, asked)
        case e.MessageSent() as sent:
            return desk.take(Decision(dialogue=dialogues.showing(desk.dialogue(sent.conversation), sent)))
        case e.FloorChanged() as floor:
            return desk.take(_floor(desk, floor))
        case _:
            return ()


def _message(trade: Trade, desk: Desk, received: Received, message: e.MessageReceived) -> Sequence[Effect]:
    if message.shop is None:
        return ()  # a number of no shop: kept by the door, answered by nobody
    dialogue = desk.dialogue(message.conversation)
    press = dialogues.pressed(message, dialogue.buttons, trade.languages(message.shop))
    reply = routing.parse_reply(press) if press is not None else None
    if _must_wait(desk, received, message.conversation, reply):
        return ()
    to = Addressee(message.phone_number_id, message.customer, message.wamid, message.at)
    case = desk.case(trade, received, message.conversation, message.shop, to, message.at)
    return desk.take(_said(case, message, press, reply))


def _said(case: Case, message: e.MessageReceived, press: str | None, reply: routing.Reply | None) -> Decision:
    """A press, the address that was asked for, or something for another service.

    While a person of the shop has the floor, all but a press is said to that person (ADR 7).
    """
    if press is not None:
        return _pressed(case, message, press, reply)
    match message.content:
        case content if case.dialogue.person:
            # The console keeps every message. It is told of this one in case it knows better, and then answers it.
            text = content.body if isinstance(content, m.Text) else ""
            return Decision(events(_enquiry(case, message, routing.CONSOLE, text, None)))
        case m.Text(body=body):
            draft = case.dialogue.draft
            if draft is not None and drafts.waits_for_address(draft, case.at):
                return drafting.take_address(case, draft, body)
            return Decision(events(_enquiry(case, message, routing.CATALOG, body, None)))
        case m.Location() as place:
            return drafting.take_place(case, place)
        case m.Form(response=response):
            return _form(case, response)
        case _:
            return Decision(case.answer(*answers.gone(case.voice)))


def _pressed(case: Case, message: e.MessageReceived, press: str, reply: routing.Reply | None) -> Decision:
    owner = routing.owner_of(m.Reply(press), None, case.shop.languages)
    if owner != routing.CHECKOUT:
        # Only a typed title comes here with another service's id: that service acts on it.
        text = message.content.body if isinstance(message.content, m.Text) else ""
        return Decision(events(_enquiry(case, message, owner, text, press)))
    if reply is None or reply.verb not in PRESSES:
        return Decision(case.answer(*answers.gone(case.voice)))
    if reply.verb in PRESENT and dialogues.is_old_press(case.dialogue, message):
        return PRESENT[reply.verb](case, reply.argument)
    return PRESSES[reply.verb](case, reply.argument)


def _form(case: Case, response: str) -> Decision:
    """An address form: its filled-in fields are the address, when one is asked for."""
    draft = case.dialogue.draft
    if draft is None or not drafts.waits_for_address(draft, case.at):
        return Decision(case.answer(*answers.unexpected_place(case.voice)))
    return drafting.take_address(case, draft, drafts.form_address(response))


def _enquiry(case: Case, message: e.MessageReceived, owner: str, text: str, reply_id: str | None) -> e.EnquiryRaised:
    return e.EnquiryRaised(
        conversation=case.conversation,
        phone_number_id=message.phone_number_id,
        shop=case.shop.shop,
        customer=message.customer,
        owner=owner,
        text=text,
        wamid=message.wamid,
        at=message.at,
        reply_id=reply_id,
        shown_at=case.dialogue.buttons_at if reply_id is not None else None,
    )


def _must_wait(desk: Desk, received: Received, conversation: str, reply: routing.Reply | None) -> bool:
    """Put aside what is about a draft whose stock is being asked for."""
    dialogue = desk.dialogue(conversation)
    if not dialogue.is_placing or not dialogues.about_the_draft(received, reply):
        return False
    desk.take(Decision(dialogue=dialogues.holding(dialogue, received)))
    return True


def _request(trade: Trade, desk: Desk, received: Received, request: e.CheckoutRequested) -> Sequence[Effect]:
    if _must_wait(desk, received, request.conversation, None):
        return ()
    to = Addressee(request.phone_number_id, request.customer, request.wamid, request.at)
    case = desk.case(trade, received, request.conversation, request.shop, to, request.at)
    return desk.take(drafting.open_draft(case, request))


def _stock(
    trade: Trade,
    desk: Desk,
    received: Received,
    answer: e.StockReserved | e.StockRefused | StockOverdue,
) -> Sequence[Effect]:
    """The answer a frozen draft waits for; then whatever had to wait for it."""
    dialogue = desk.dialogue(answer.conversation)
    draft = drafts.frozen_as(dialogue.draft, answer.order_id)
    if draft is None:
        return ()  # answered before, or given up: catalog frees it by our OrderCancelled
    case = desk.case(trade, received, answer.conversation, draft.shop)
    match answer:
        case e.StockReserved():
            decision = drafting.place_order(case, draft)
        case e.StockRefused():
            decision = drafting.refuse_order(case, draft, answer)
        case StockOverdue():
            decision = drafting.give_up_on_stock(case, draft)
    held = dialogue.held
    if decision.dialogue is not None:
        decision = replace(decision, dialogue=replace(decision.dialogue, held=()))
    effects = desk.take(decision)
    for waiting in held:
        effects += tuple(decide(trade, desk, waiting.received()))
    return effects


def _money(
    trade: Trade,
    desk: Desk,
    received: Received,
    money: e.PaymentRecorded | PaymentHalfway | PaymentOverdue,
) -> Sequence[Effect]:
    order = desk.own_order(money.conversation, money.order_id)
    if order is None:
        if isinstance(money, e.PaymentRecorded):
            problem = paying.problem_of(money, "unknown_order", money.conversation)
            return desk.take(Decision(problem=problem))
        return ()
    case = desk.case(trade, received, money.conversation, order.shop)
    match money:
        case e.PaymentRecorded():
            return desk.take(paying.record_payment(case, order, money))
        case PaymentHalfway():
            return desk.take(paying.remind_of_payment(case, order))
        case PaymentOverdue():
            overdue = sessions.close_overdue if case.is_remote(order) else paying.expire_order
            return desk.take(overdue(case, order))


def _provider(trade: Trade, desk: Desk, received: Received, answer: sessions.Answer) -> Sequence[Effect]:
    order = desk.own_order(answer.conversation, answer.order_id)
    if order is None:
        return ()
    return desk.take(sessions.answered(desk.case(trade, received, answer.conversation, order.shop), order, answer))


def _command(
    trade: Trade,
    desk: Desk,
    received: Received,
    command: e.OrderAdvanced | e.CancelRequested | e.RefundRequested,
) -> Sequence[Effect]:
    if command.key in desk.answered:
        return ()  # the same command again: its first result stands
    order = desk.own_order(command.conversation, command.order_id)
    if order is None:
        gone = Result(command.key, command.order_id, received.at, "not_found", "there is no such order")
        return desk.take(Decision(result=gone))
    case = desk.case(trade, received, command.conversation, order.shop)
    match command:
        case e.OrderAdvanced(state=state):
            return desk.take(commands.advance_order(case, order, state, command.key))
        case e.CancelRequested():
            return desk.take(commands.cancel_for_shop(case, order, command.key))
        case e.RefundRequested():
            return desk.take(commands.refund_order(case, order, command.key))


def _floor(desk: Desk, floor: e.FloorChanged) -> Decision:
    dialogue = desk.dialogue(floor.conversation)
    if floor.version <= dialogue.floor_version:
        return NOTHING
    return Decision(dialogue=replace(dialogue, person=floor.person, floor_version=floor.version))


def _erasure(desk: Desk, asked: e.ErasureRequested) -> Sequence[Effect]:
    if asked.key in desk.answered:
        return ()
    orders = [order for one in asked.conversations for order in desk.orders.get(one, {}).values()]
    held = [desk.dialogue(one) for one in asked.conversations]
    return desk.take(erasure.decide_erasure(asked, orders, held, desk.asked))
