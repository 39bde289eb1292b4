"""A customer at the phone: plays a script by what the phone shows, and waits as people do.

Whatever does not come in time is noted and the script ends there: whether it came later is the judge's matter.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from panier_proof import script as s
from panier_proof.ledger import Confirmation, Reply, Seen
from panier_proof.phone import Phone
from panier_proof.shop import Good

T = TypeVar("T")
_PLACE = {"latitude": 48.6493, "longitude": -2.0257}


class GaveUpError(Exception):
    """What was waited for did not come."""


class Shopper:
    """Plays one script. `patience` is how many seconds each answer may take."""

    def __init__(self, phone: Phone, goods: dict[str, Good], patience: float) -> None:
        self._phone = phone
        self._goods = goods
        self._patience = patience
        self._since = 0
        self._last_link: Seen | None = None
        self._has_lines = False

    async def play(self, script: s.Script) -> None:
        try:
            for step in script.steps:
                await self._step(step)
        except GaveUpError as error:
            self._phone.page.gave_up = str(error)

    async def _step(self, step: s.Step) -> None:
        match step:
            case s.Say(text):
                await self._say(text)
            case s.Browse(pick):
                await self._browse(pick)
            case s.Fill(lines):
                await self._do({"cart": self._cart(lines)})
                await self._see_cart("the cart")
            case s.Ask(sku):
                await self._ask(sku)
            case s.Edit(verb, pick):
                await self._edit(verb, pick)
            case s.Burst(parts):
                await self._burst(parts)
            case s.Order():
                await self._order(step)
            case s.Settle(how):
                await self._settle(how)
            case s.Review(again):
                await self._review(again)

    async def _do(self, action: dict[str, object]) -> None:
        """Act; what comes from now on may be the answer."""
        self._since = await self._phone.glance()
        await self._phone.act(action)

    async def _press(self, prefix: str, found: tuple[Reply, Seen] | None = None) -> None:
        """Press that button of the message, or of the newest that has one."""
        reply, message = found or self._newest(prefix)
        self._since = await self._phone.glance()
        await self._phone.press(reply, message)

    def _newest(self, prefix: str) -> tuple[Reply, Seen]:
        for message in reversed(self._phone.page.seen):
            if reply := message.reply(prefix):
                return reply, message
        raise GaveUpError(f"no button {prefix} on the phone")

    async def _wait(self, what: str, look: Callable[[Seen], T | None]) -> T:
        found = await self._phone.expect(look, self._since, self._patience)
        if found is None:
            raise GaveUpError(f"waited {self._patience:.0f} s for {what}")
        return found

    async def _say(self, text: str) -> None:
        await self._do({"text": text})
        await self._wait(f"an answer to {text}", lambda m: m)

    async def _browse(self, pick: int) -> None:
        await self._press_or_say("catalog:menu", "menu")
        shelves = await self._wait("the collections", lambda m: m if m.reply("catalog:collection:") else None)
        rows = [reply for reply in shelves.replies if reply.id.startswith("catalog:collection:")]
        await self._press("", (rows[pick % len(rows)], shelves))
        await self._wait("the collection", lambda m: m if m.kind == "product_list" else None)

    async def _press_or_say(self, prefix: str, word: str) -> None:
        if any(message.reply(prefix) for message in self._phone.page.seen):
            await self._press(prefix)
        else:
            await self._do({"text": word})
            if await self._wait(f"an answer to {word}", lambda m: m if m.reply(prefix) else None):
                await self._press(prefix)

    async def _ask(self, sku: str) -> None:
        await self._do({"product_question": {"sku": sku, "text": "?"}})
        add = f"cart:add:{sku}"
        found = await self._wait("the product", lambda m: (r, m) if (r := m.reply(add)) else None)
        await self._press(add, found)
        await self._see_cart("the cart with it")

    async def _edit(self, verb: str, pick: int) -> None:
        """Nothing to edit is no matter: an edit before it may have emptied the cart."""
        if not self._has_lines:
            return
        await self._press("cart:edit")
        listed = await self._wait("the lines", lambda m: m if m.reply("cart:empty") else None)
        if verb == "empty":
            await self._press("", (next(r for r in listed.replies if r.id == "cart:empty"), listed))
            await self._see_cart("the empty cart")
            return
        lines = [reply for reply in listed.replies if reply.id.startswith("cart:line:")]
        await self._press("", (lines[pick % len(lines)], listed))
        found = await self._wait("the line", lambda m: (r, m) if (r := m.reply(f"cart:{verb}:")) else None)
        await self._press("", found)
        await self._see_cart("the cart")

    async def _see_cart(self, what: str) -> None:
        """The cart as the shop shows it: with a button to order when there is something in it."""
        shown = await self._wait(what, lambda m: m if m.reply("checkout:start") or m.reply("checkout:orders") else None)
        self._has_lines = shown.reply("checkout:start") is not None

    async def _burst(self, parts: tuple[s.Say | s.Fill, ...]) -> None:
        self._since = await self._phone.glance()
        for part in parts:
            await self._phone.act({"text": part.text} if isinstance(part, s.Say) else {"cart": self._cart(part.lines)})
            await asyncio.sleep(0.03)
        came: set[str] = set()

        def enough(message: Seen) -> bool | None:
            came.add(message.wamid)
            return True if len(came) >= len(parts) else None

        await self._wait("answers to all of it", enough)

    async def _order(self, order: s.Order) -> None:
        if not any(message.reply("checkout:start") for message in self._phone.page.seen):
            return  # all of it was sold out, or emptied
        await self._press("checkout:start")
        asked = await self._wait("the ways", _about_the_way)
        if asked.reply("checkout:collect") is None:
            return  # an empty cart: what was wanted is sold out
        summary, way, address = await self._way(order, asked)
        if not order.presses:
            await self._press("", (_of(summary, "checkout:dismiss"), summary))
            await self._wait("the way back", lambda m: m if m.reply("cart:show") else None)
            return
        await self._confirm(order, summary, way, address)

    async def _way(self, order: s.Order, asked: Seen) -> tuple[Seen, str, str]:
        """The summary, with the way and the address that it is for."""
        way = "deliver" if order.way == "deliver" and asked.reply("checkout:deliver") else "collect"
        await self._press("", (_of(asked, f"checkout:{way}"), asked))
        address = ""
        if way == "deliver":
            await self._wait("the question where", lambda m: m if m.kind == "location_request_message" else None)
            address = order.address
            await self._do({"text": address} if address else {"location": _PLACE})
        summary = await self._wait("the summary", lambda m: m if m.reply("checkout:confirm:") else None)
        return summary, way, address

    async def _confirm(self, order: s.Order, summary: Seen, way: str, address: str) -> None:
        reply = _of(summary, "checkout:confirm:")
        draft = reply.id.removeprefix("checkout:confirm:")
        confirmation = Confirmation(draft, way, address, summary.lines, [])
        self._phone.page.confirmations.append(confirmation)
        self._since = await self._phone.glance()
        for _ in range(order.presses):
            confirmation.wamids.append((await self._phone.press(reply, summary)).wamid)
        known = {other.order_id for other in self._phone.page.confirmations}
        told = await self._wait(
            "the link to pay", lambda m: m if (m.link and m.order_id not in known) or _refuses(m) else None
        )
        confirmation.order_id = told.order_id
        self._last_link = told if told.link else None

    async def _settle(self, how: str) -> None:
        link, self._last_link = self._last_link, None
        if link is None or link.asked_minor is None:
            return  # refused: there is no order
        order, minor, phone = link.order_id, link.asked_minor, self._phone
        if how.startswith("cancelled"):
            await self._cancel(order)
            if how == "cancelled_then_paid":
                await phone.pay(order, minor)
            return
        if how == "left":
            return
        self._since = await phone.glance()
        if how == "failed_then_paid":
            await phone.pay(order, minor, state="failed")
            await self._wait("word of the failure", lambda m: m)
        await phone.pay(order, minor, times=3 if how == "paid_thrice_told" else 1)
        if how == "paid_twice":
            await phone.pay(order, minor)
        await self._wait("the receipt", lambda m: m if m.reply(f"checkout:order:{order}") else None)

    async def _cancel(self, order: str) -> None:
        await self._do({"text": "commandes"})
        row = await self._wait("my orders", lambda m: (r, m) if (r := m.reply(f"checkout:order:{order}")) else None)
        await self._press("", row)
        shown = await self._wait("the order", lambda m: m if m.replies and not m.reply("checkout:order:") else None)
        if shown.reply(f"checkout:cancel:{order}") is None:
            return  # it has expired meanwhile
        await self._press("", (_of(shown, f"checkout:cancel:{order}"), shown))
        await self._wait("word that it is cancelled", lambda m: m if m.reply("checkout:again:") else None)

    async def _review(self, again: bool) -> None:
        await self._do({"text": "orders"})
        listed = await self._wait("my orders", lambda m: m if m.kind == "list" or m.reply("catalog:menu") else None)
        row = listed.reply("checkout:order:")
        if row is None:
            return  # none yet
        await self._press("", (row, listed))
        shown = await self._wait("the order", lambda m: m if m.replies and not m.reply("checkout:order:") else None)
        if again and (reply := shown.reply("checkout:again:")):
            await self._press("", (reply, shown))
            await self._see_cart("the cart with it")

    def _cart(self, lines: s.Lines) -> list[dict[str, object]]:
        """The lines at the prices that the phone shows."""
        return [
            {"sku": sku, "quantity": quantity, "price": self._goods[sku].price_minor / 100} for sku, quantity in lines
        ]


def _of(message: Seen, prefix: str) -> Reply:
    return next(reply for reply in message.replies if reply.id.startswith(prefix))


def _about_the_way(message: Seen) -> Seen | None:
    """The question how to get it; or the empty cart, when all of it is gone."""
    if message.reply("checkout:collect"):
        return message
    return message if message.reply("checkout:orders") and not message.reply("checkout:start") else None


def _refuses(message: Seen) -> bool:
    """Too little of something (edit the cart, a person), or no word of the stock (try again, my cart)."""
    ways = {reply.id for reply in message.replies}
    return {"cart:edit", "console:person"} <= ways or {"checkout:start", "cart:show"} <= ways


__all__ = ["GaveUpError", "Shopper"]
