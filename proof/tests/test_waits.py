"""How long customers waited is told, by what went on meanwhile."""

import msgspec
from panier_proof.waits import Spell, Wait, by_spell, shares, waits

from .books import Books


def test_how_long_customers_waited_is_told() -> None:
    books = Books()
    for act in books.page.acts:
        [request] = [request.id for request in books.evidence.requested if request.answers == act.wamid]
        n = next(n for n, message in enumerate(books.evidence.accepted) if message.id == request)
        books.evidence.accepted[n] = msgspec.structs.replace(books.evidence.accepted[n], at=act.at + 0.5)
    books.evidence.accepted[0] = msgspec.structs.replace(books.evidence.accepted[0], at=books.page.acts[0].at + 60)
    assert shares(waits(books.ledger, books.evidence)) == {"p50": 0.5, "p90": 0.5, "p99": 0.5, "max": 60.0}


def test_a_wait_belongs_to_whatever_went_on_in_any_part_of_it() -> None:
    spells = [Spell("roll", 10, 20), Spell("drain", 15, 17), Spell("roll", 40, 41)]
    found = [Wait(9, 10.5), Wait(16, 18), Wait(5, 6), Wait(20.5, 21), Wait(35, 45)]
    told = by_spell(found, spells)
    assert {kind: (some["messages"], some["max"]) for kind, some in told.items()} == {
        "roll": (3, 10.0),
        "drain": (1, 2.0),
        "calm": (2, 1.0),
    }


def test_where_nothing_was_asked_nothing_waited() -> None:
    assert shares([]) == {"p50": 0.0, "p90": 0.0, "p99": 0.0, "max": 0.0}
    assert by_spell([], [Spell("roll", 1, 2)]) == {}
