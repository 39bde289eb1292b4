"""The simulated proof bites: faults planted one at a time in the product's code, each of which it must find.

A fault is another text in one place of one module, compiled afresh for the run and put back after it. That the place
is still there is tested.
"""

import importlib
import inspect
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import process_time
from types import FunctionType
from typing import Any

from panier_proof.judge.findings import Finding
from panier_proof.simulated.faults import Fault
from panier_proof.simulated.run import History, history, run, with_known_hashes


@dataclass(frozen=True)
class Bite:
    """`words` says what is off: in `where` (module:function or module:Class.function) `old` becomes `new`.

    `like`: the faults that find it, each at the moment in which the guarantee is needed; without, any.
    """

    words: str
    where: str
    old: str
    new: str
    like: tuple[Fault, ...] = ()
    seeds: tuple[int, ...] = (1, 2, 3)
    customers: int = 24
    faults: int = 8
    seconds: float = 8.0

    def history(self, seed: int) -> History:
        return history(seed, self.customers, self.faults, self.seconds, self.like)


def _kills(service: str, *moments: str) -> tuple[Fault, ...]:
    return tuple(Fault(0.0, "kill", service, 0.0, moment) for moment in moments)


def _pauses(service: str, seconds: float, *moments: str) -> tuple[Fault, ...]:
    return tuple(Fault(0.0, "pause", service, seconds, moment) for moment in moments)


_B = "panier_common.batch:Batch."
_R = "panier_common.runner:Runner."
_NO_ANSWER = tuple(Fault(0.0, "acknowledgements", "checkout", seconds) for seconds in (2.0, 4.0))
_NO_BROKER = tuple(Fault(0.0, "broker", service, 1.0, "committed") for service in ("cart", "checkout"))
_NO_DATABASE = tuple(Fault(0.0, "database", service, 1.0, "begun") for service in ("cart", "checkout", "catalog"))

BITES: dict[str, Bite] = {
    "wamids": Bite(
        "webhooks that Meta sends again are taken again",
        _B + "_not_repeated",
        "if seen is Seen.REPEAT:",
        "if seen is Seen.REPEAT and not item.key:",
        faults=0,
    ),
    "published_again": Bite(
        "what an outbox publishes twice is taken twice",
        _B + "_is_heard",
        "if n <= max(known, self._heard.get((*at, source), 0)):",
        "if n < 0:",
        (*_kills("checkout", "appended panier.order.v1", "appended panier.outbound.v1"), *_NO_ANSWER),
    ),
    "positions": Bite(
        "positions are not moved on with the batch",
        "panier_common.progress:write_progress",
        "list(positions.values()),",
        "[0 for _ in positions],",
        faults=0,
    ),
    "epoch": Bite(
        "a former owner's transactions go through",
        "panier_common.homes:lock",
        "AND home.epoch = mine.epoch ",
        "AND home.epoch >= mine.epoch ",
        _pauses("cart", 16.0, "fetched panier.order.v1") + _pauses("sender", 16.0, "fetched panier.outbound.v1"),
    ),
    "outbox_drain": Bite(
        "what a former owner left in the outbox is not published",
        _R + "_take_over",
        "await self._publisher.publish(left)",
        "await self._publisher.publish(left if self.loop.service == 'catalog' else [])",  # the shop itself comes so
        _kills("cart", "committed") + _kills("checkout", "committed"),
    ),
    "acknowledgements": Bite(
        "a batch that nobody acknowledged counts as published",
        "panier_common.outbox:Publisher._attempt",
        "if result is not None]",
        "if result is None and rows is None]",
        _NO_BROKER,
    ),
    "reservation": Bite(
        "stock is reserved without a look at what is there",
        "panier_catalog.stock:_lacks",
        "available < quantity",
        "available < 0",
        customers=40,
        faults=0,
    ),
    "order_after_failure": Bite(
        "after a failure what follows is published before it",
        "panier_common.outbox:_in_order",
        "key=lambda r: (r.home, r.n))",
        "key=lambda r: (r.home, -r.n))",
        _NO_BROKER,
        customers=60,
    ),
    "publish_before_commit": Bite(
        "events are published before their transaction is committed",
        _R + "_transact",
        'fail_point("before_commit", self.loop.name, len(items))',
        "await self._publisher.publish(outcome.publish)",
        _kills("checkout", "appended panier.outbound.v1", "appended panier.order.v1"),
        customers=60,
        faults=12,
    ),
    "not_tried_again": Bite(
        "a batch that the database did not take is passed over",
        _R + "_until_committed",
        "attempt += 1",
        "return True",
        _NO_DATABASE,
    ),
    "commit_unknown": Bite(
        "a batch is decided again whose commit was done and not answered",
        _R + "_transact",
        "if decided:",
        "if decided and not items:",
        tuple(Fault(0.0, "database", service, 1.0, "committed") for service in ("cart", "checkout", "sender")),
    ),
    "seek": Bite(
        "after a take-over reading goes on from the end",
        _R + "_take_over",
        "reading.next_offset = first[tp]",
        "reading.next_offset = ends[tp]",
        faults=0,
    ),
    "skipped": Bite(
        "what was skipped moves the position past what was not",
        _R + "_skip",
        "item.offset + 1",
        "item.offset + 2",
        faults=0,
    ),
    "one_in_flight": Bite(
        "what follows is published while what was before it is on its way",
        _R + "_publish_after",
        "await asyncio.shield(self._publishing)",
        "pass",
        seeds=(4, 6, 7),
        customers=60,
    ),
    "numbers": Bite(
        "numbers of an outbox are given twice",
        "panier_common.progress:write_progress",
        "list(seqs.values()),",
        "[seq - 1 for seq in seqs.values()],",
        faults=0,
    ),
    "timers_kept": Bite(
        "a timer that was decided on is not deleted",
        _B + "_decide",
        "self._timers[item.home, item.timer.key] = None",
        "pass",
        faults=0,
    ),
    "timers_dropped": Bite(
        "a timer that a decision drops still goes off",
        "panier_common.timers:change",
        "if dropped:",
        "if dropped and not dropped:",
        faults=0,
    ),
    "timers_lost": Bite(
        "timers are not kept",
        "panier_common.timers:change",
        "if new:",
        "if new and not new:",
        faults=0,
    ),
    "stock_moved": Bite(
        "what is sold stays reserved as well",
        "panier_catalog.stock:sold",
        "reserved=-1, sold=+1",
        "sold=+1",
        faults=0,
    ),
    "stock_given_back": Bite(
        "what an order that ended had reserved is not given back",
        "panier_catalog.stock:released",
        "moved = tuple(_moved(hold, items, reserved=-1))",
        "moved = ()",
        faults=0,
    ),
    "stock_lock": Bite(
        "two processes reserve the same product at once",
        "panier_catalog.db:lock_items",
        "ORDER BY p.shop, p.sku FOR UPDATE OF p",
        "ORDER BY p.shop, p.sku",
        faults=0,
        customers=60,
        seconds=4.0,
    ),
    "notifications": Bite(
        "a payment that is told again is recorded again",
        "panier_checkout.notifications:record",
        "or (told.provider, told.notification_id) in ledger.known",
        "",
        faults=0,
    ),
    "taken_out": Bite(
        "an order's lines stay in the cart",
        "panier_cart.loops:_decide",
        "return work.keep(handlers.take_out_order(_open_cart(work, event, shop), event))",
        "return []",
        faults=0,
    ),
    "cart_version": Bite(
        "what came into the cart after the order was begun leaves with it",
        "panier_cart.handlers:take_out_order",
        "lines = editing.subtracted(lines, event.lines, event.cart_version)",
        "lines = ()",
        faults=0,
        customers=60,
    ),
    "doubt": Bite(
        "a message in doubt is forgotten",
        "panier_sender.db:take_over",
        "AND state = 'claimed'",
        "AND state = 'nothing'",
        _kills("sender", "called"),
    ),
    "told": Bite(
        "a status does not end the doubt about its message",
        "panier_sender.handlers:note_status",
        "entry.attempt > 0",
        "entry.attempt > 0 and entry.state == CLAIMED",
        _kills("sender", "called"),
    ),
    "claims": Bite(
        "a claim is good for ever: who is stopped meanwhile calls what another one has sent",
        "panier_sender.dispatch:Dispatcher.start",
        "taken_at + self._claim_seconds",
        "taken_at + 1000 * self._claim_seconds",
        _pauses("sender", 40.0, "committed"),
    ),
    "results": Bite(
        "what became of a call in doubt is not told",
        "panier_sender.dispatch:Dispatcher._report",
        "self._results.append(",
        "kind is Class.IN_DOUBT or self._results.append(",
        faults=0,
    ),
}


@contextmanager
def planted(bite: Bite) -> Iterator[None]:
    """With the fault in force. Raises LookupError when the place is not there."""
    module_name, _, path = bite.where.partition(":")
    module = importlib.import_module(module_name)
    *owners, name = path.split(".")
    owner: Any = module
    for one in owners:
        owner = getattr(owner, one)
    function: Any = getattr(owner, name)
    source = textwrap.dedent(inspect.getsource(function))
    if source.count(bite.old) != 1:
        raise LookupError(f"{bite.where} does not have {bite.old!r} once")
    space: dict[str, Any] = {}
    exec(compile(source.replace(bite.old, bite.new), f"<planted in {bite.where}>", "exec"), module.__dict__, space)
    code = space[name].__code__
    plain: FunctionType = function
    before = plain.__code__
    if code.co_freevars != before.co_freevars:
        raise LookupError(f"{bite.where} closes over other names")
    plain.__code__ = code
    try:
        yield
    finally:
        plain.__code__ = before


def found_by(bite: Bite) -> tuple[int, list[Finding]] | None:
    """The first of its seeds that finds something, and what; the same history without the fault must find nothing."""
    for seed in bite.seeds:
        with planted(bite):
            findings = run(bite.history(seed)).findings
        if findings:
            intact = run(bite.history(seed)).findings
            return None if intact else (seed, findings)
    return None


def main() -> int:
    """Every bite in turn, or those that are named; 0 when all were found."""
    missed = []
    for name in sys.argv[1:] or list(BITES):
        began = process_time()
        found = found_by(BITES[name])
        told = "NOT found"
        if found is None:
            missed.append(name)
        else:
            seed, findings = found
            told = f"seed {seed}, {len(findings)} findings, {findings[0].invariant}: {findings[0].what[:90]}"
        print(f"{name}: {BITES[name].words}\n  {process_time() - began:.1f} s, {told}", flush=True)
    print(f"{len(missed)} not found{': ' if missed else ''}{', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    with_known_hashes("panier_proof.simulated.bites")
    sys.exit(main())
