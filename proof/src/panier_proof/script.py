"""What each customer means to do, decided by the seed: steps, not words of the shop. Pure.

Edits come before the first order of a customer: afterwards only things are added, so that the sum of what was
put in and taken out does not depend on the instant at which an order left the cart.
"""

import random
from collections.abc import Mapping

import msgspec

from panier_proof.shop import Good, plentiful

Lines = tuple[tuple[str, int], ...]


class Say(msgspec.Struct, frozen=True, tag=True):
    """A word, or a search."""

    text: str


class Browse(msgspec.Struct, frozen=True, tag=True):
    """The list of collections, and one of them."""

    pick: int


class Fill(msgspec.Struct, frozen=True, tag=True):
    """A WhatsApp cart."""

    lines: Lines


class Ask(msgspec.Struct, frozen=True, tag=True):
    """A question about a product, and one of it into the cart."""

    sku: str


class Edit(msgspec.Struct, frozen=True, tag=True):
    """A line of the cart: more, fewer or remove; or the whole of it: empty."""

    verb: str
    pick: int


class Burst(msgspec.Struct, frozen=True, tag=True):
    """Several messages without waiting for an answer: words, and carts among them."""

    parts: tuple[Say | Fill, ...]


class Order(msgspec.Struct, frozen=True, tag=True):
    """Order what is in the cart. `presses` on confirm; none is back to the cart."""

    way: str
    address: str
    presses: int


class Settle(msgspec.Struct, frozen=True, tag=True):
    """What becomes of the order: paid, paid_thrice_told, paid_twice, failed_then_paid, cancelled,
    cancelled_then_paid or left."""

    how: str


class Review(msgspec.Struct, frozen=True, tag=True):
    """My orders, the newest of them, and perhaps the same again."""

    again: bool


Step = Say | Browse | Fill | Ask | Edit | Burst | Order | Settle | Review

_SETTLED = (
    *(("paid", 46), ("paid_thrice_told", 22), ("paid_twice", 5), ("failed_then_paid", 6)),
    *(("cancelled", 10), ("cancelled_then_paid", 2), ("left", 9)),
)
# As many as one customer can be told of before Meta's limit of messages to one customer slows them down.
REGULAR_ORDERS = 4
_GREETINGS = ("bonjour", "hello", "menu", "aide")
_WORDS = ("panier", "cart", "commandes", "orders", "menu")
_STREETS = ("rue du Port", "quai des Brumes", "place de la Halle", "allée des Tilleuls")


class Script(msgspec.Struct, frozen=True):
    """One customer. `skew_seconds` is how far the clock that stamps the messages is off."""

    name: str
    hides_number: bool
    skew_seconds: int
    begins: float
    steps: tuple[Step, ...]


def scripts(
    seed: int, customers: int, seconds: float, table: Mapping[str, Good], regulars: float = 0.0
) -> list[Script]:
    """All customers, the first at once and the last at four fifths of the time. `regulars` is their share."""
    return [_script(seed, n, seconds * 0.8 * n / max(customers, 1), table, regulars) for n in range(customers)]


def _script(seed: int, n: int, begins: float, table: Mapping[str, Good], regulars: float) -> Script:
    chance = random.Random(f"{seed}/customer/{n}")
    rounds = chance.choice((1, 1, 2, 2, 3))
    steps = [step for i in range(rounds) for step in _round(chance, table, first=i == 0)]
    if random.Random(f"{seed}/regular/{n}").random() < regulars:
        steps = [step for _ in range(REGULAR_ORDERS) for step in _errand(chance, table)]
    skew = chance.choice((0, 0, 0, -90, -20, 15, 75))
    return Script(f"Customer {n:05}", chance.random() < 0.5, skew, begins, tuple(steps))


def _round(chance: random.Random, table: Mapping[str, Good], *, first: bool) -> list[Step]:
    steps: list[Step] = []
    if first or chance.random() < 0.3:
        steps.append(Say(chance.choice(_GREETINGS)))
    if chance.random() < 0.4:
        steps.append(Browse(chance.randrange(5)))
    if first and chance.random() < 0.4:
        steps += [_fill(chance, table, scarce=False), *_edits(chance)]
    steps += [_filling(chance, table) for _ in range(chance.choice((1, 1, 2)))]
    if chance.random() < 0.3:
        steps.append(_burst(chance, table))
    if chance.random() < 0.92:
        steps += _ordering(chance)
    if chance.random() < 0.35:
        steps.append(Review(again=chance.random() < 0.4))
    return steps


def _errand(chance: random.Random, table: Mapping[str, Good]) -> list[Step]:
    """Who knows what they want sends a cart and orders it, and says nothing else."""
    return [_fill(chance, table, scarce=chance.random() < 0.3), *_ordering(chance)]


def _filling(chance: random.Random, table: Mapping[str, Good]) -> Step:
    if chance.random() < 0.3:
        return Ask(chance.choice([sku for sku, good in table.items() if plentiful(good)]))
    return _fill(chance, table, scarce=chance.random() < 0.3)


def _fill(chance: random.Random, table: Mapping[str, Good], *, scarce: bool) -> Fill:
    plenty = [sku for sku, good in table.items() if plentiful(good)]
    rare = [sku for sku, good in table.items() if not plentiful(good)]
    chosen = chance.sample(plenty, chance.randint(1, 3)) + ([chance.choice(rare)] if scarce else [])
    return Fill(tuple((sku, chance.randint(1, 3)) for sku in chosen))


def _edits(chance: random.Random) -> list[Step]:
    verbs = chance.choices(("more", "fewer", "remove", "empty"), (4, 3, 2, 1), k=chance.choice((1, 2)))
    return [Edit(verb, chance.randrange(10)) for verb in verbs]


def _burst(chance: random.Random, table: Mapping[str, Good]) -> Burst:
    return Burst(
        tuple(
            Say(chance.choice(_WORDS)) if chance.random() < 0.6 else _fill(chance, table, scarce=False)
            for _ in range(chance.randint(3, 5))
        )
    )


def _ordering(chance: random.Random) -> list[Step]:
    way = "deliver" if chance.random() < 0.4 else "collect"
    address = f"{chance.randint(1, 99)} {chance.choice(_STREETS)}" if chance.random() < 0.7 else ""
    presses = chance.choices((1, 3, 0), (72, 20, 8))[0]
    steps: list[Step] = [Order(way, address, presses)]
    if presses:
        steps.append(Settle(chance.choices(*zip(*_SETTLED, strict=True))[0]))
    return steps
