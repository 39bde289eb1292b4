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
from types import FunctionType
from typing import Any


@dataclass(frozen=True)
class Bite:
    """`words` says what is off: in `where` (module:function or module:Class.function) `old` becomes `new`."""

    words: str
    where: str
    old: str
    new: str
    seeds: tuple[int, ...] = (1, 2, 3)
    customers: int = 40
    faults: int = 8
    kinds: tuple[str, ...] = ()


_B = "panier_common.batch:Batch."
_R = "panier_common.runner:Runner."

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
    ),
    "positions": Bite(
        "positions are not moved on with the batch",
        "panier_common.progress:write_progress",
        "list(positions.values()),",
        "[0 for _ in positions],",
    ),
    "epoch": Bite(
        "a former owner's transactions go through",
        "panier_common.homes:lock",
        "AND home.epoch = mine.epoch ",
        "AND home.epoch >= mine.epoch ",
        faults=16,
        kinds=("pause",),
    ),
    "outbox_drain": Bite(
        "what a former owner left in the outbox is not published",
        _R + "_take_over",
        "await self._publisher.publish(left)",
        "await self._publisher.publish([])",
        faults=16,
        kinds=("kill",),
    ),
    "acknowledgements": Bite(
        "a batch that nobody acknowledged counts as published",
        "panier_common.outbox:Publisher._attempt",
        "if result is not None]",
        "if result is None and rows is None]",
        kinds=("broker", "acknowledgements"),
    ),
    "order_after_failure": Bite(
        "after a failure what follows is published before it",
        "panier_common.outbox:_in_order",
        "key=lambda r: (r.home, r.n))",
        "key=lambda r: (r.home, -r.n))",
    ),
    "publish_before_commit": Bite(
        "events are published before their transaction is committed",
        _R + "_transact",
        'fail_point("before_commit", self.loop.name, len(items))',
        "await self._publish_after(outcome.publish)",
    ),
    "seek": Bite(
        "after a take-over reading goes on from the end",
        _R + "_take_over",
        "reading.next_offset = first[tp]",
        "reading.next_offset = ends[tp]",
        faults=0,
    ),
    "own_records": Bite(
        "records below the position are taken once more",
        _R + "_taken",
        "if item.offset >= self._readings[at].next_offset]",
        "if item.offset >= 0]",
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
    "reservation": Bite(
        "stock is reserved without a look at what is there",
        "panier_catalog.stock:_lacks",
        "available < quantity",
        "available < 0",
        faults=0,
    ),
    "stock_lock": Bite(
        "reserved and sold are written without what was reserved before",
        "panier_catalog.stock:sold",
        "reserved=-1, sold=+1",
        "sold=+1",
        faults=0,
    ),
    "holds": Bite(
        "a final hold is given back again",
        "panier_catalog.stock:sold",
        "if hold.state != RESERVED:",
        "if hold.state == REFUSED:",
        faults=0,
    ),
    "product_versions": Bite(
        "an older state of a product replaces a newer one",
        "panier_cart.db:save_products",
        "WHERE product.version < excluded.version",
        "WHERE product.version > excluded.version",
        faults=0,
    ),
    "notifications": Bite(
        "a payment that is told again is recorded again",
        "panier_checkout.notifications:record",
        "or (told.provider, told.notification_id) in ledger.known",
        "",
        faults=0,
    ),
    "cart_version": Bite(
        "an order's lines stay in the cart",
        "panier_cart.loops:_decide",
        "return work.keep(handlers.take_out_order(_open_cart(work, event, shop), event))",
        "return []",
        faults=0,
    ),
    "doubt": Bite(
        "a message in doubt is forgotten",
        "panier_sender.db:take_over",
        "AND state = 'claimed'",
        "AND state = 'nothing'",
        faults=16,
        kinds=("kill",),
    ),
    "claims": Bite(
        "claims are good for ever, and calls that wait are never withdrawn or told",
        "panier_sender.dispatch:Dispatcher._report",
        "self._results.append(",
        "kind is Class.IN_DOUBT or self._results.append(",
        faults=0,
    ),
    "half_a_batch": Bite(
        "what a batch wrote stays when its transaction fails",
        _R + "_halve",
        "return await self._until_committed(items[:middle]) and await self._until_committed(items[middle:])",
        "return await self._until_committed(items[middle:])",
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


def main() -> int:
    """Every bite in turn; 0 when all were found."""
    from time import process_time

    from panier_proof.simulated.run import history, run

    names = sys.argv[1:] or list(BITES)
    missed = []
    for name in names:
        bite, found, began = BITES[name], "", process_time()
        for seed in bite.seeds:
            with planted(bite):
                result = run(history(seed, bite.customers, bite.faults, 12.0, bite.kinds))
            if result.findings:
                first = result.findings[0]
                found = f"seed {seed}, {len(result.findings)} findings, {first.invariant}: {first.what[:90]}"
                break
        print(f"{name}: {bite.words}\n  {process_time() - began:.1f} s, {found or 'NOT found'}", flush=True)
        missed += [] if found else [name]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
