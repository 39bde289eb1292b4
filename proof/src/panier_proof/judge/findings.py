"""What the judge may find, and under which count of the report it falls. Pure data."""

import msgspec

# invariant → the report's count that must be 0, and the sentence of the table
INVARIANTS: dict[str, tuple[str, str]] = {
    "effect": ("lost", "every acknowledged action has its effect"),
    "answer": ("lost", "no answer is missing on the phone"),
    "confirmation": ("lost", "an order is what was confirmed, and is told"),
    "captured": ("lost", "money captured is an order paid, or a problem for a person"),
    "kept": ("lost", "the console has every message of every conversation"),
    "commands": ("doubled", "what people of the shop ask thrice is done once"),
    "doubt": ("doubled", "a message is sent again only after the time of doubt"),
    "once": ("doubled", "no action has its effect twice"),
    "one_order": ("doubled", "one order for each confirmation"),
    "paid_once": ("doubled", "an order is paid once"),
    "order_of_answers": ("reordered", "a service's answers keep the order of inbound"),
    "lawful": ("reordered", "every order's events are in a lawful order"),
    "stall": ("stalled", "done in order, what is done to the shop makes nobody wait for longer than it must"),
    "oversold": ("oversold", "no more is promised than there is"),
    "stock": ("stock_differs", "reserved and sold are what the orders hold"),
    "overcharged": ("overcharged", "nobody pays more than was shown"),
    "letters": ("dead_letters_unexpected", "dead letters only for planted poison, all of it, replayable"),
    "sales": ("sales_differ", "sales count what the orders say"),
    "quiet": ("unquiet", "outboxes empty, lag zero, timers done at the end"),
}
COUNTS = tuple(dict.fromkeys(count for count, _ in INVARIANTS.values()))


class Finding(msgspec.Struct, frozen=True):
    """One break of an invariant. `conversation` is the customer's whose story shows it, empty when nobody's."""

    invariant: str
    what: str
    conversation: str = ""
    times: int = 1
