"""Dead letters are the planted poison, all of it and nothing else, before and after each was replayed. Pure."""

from collections.abc import Iterable, Iterator

from panier_proof.evidence import Evidence, Letter
from panier_proof.judge.findings import Finding
from panier_proof.ledger import Ledger

Place = tuple[str, int, int]


def check(ledger: Ledger, evidence: Evidence) -> Iterator[Finding]:
    planted = {(one.topic, one.partition, one.offset): one.what for one in ledger.planted}
    found = _places(evidence.letters)
    for letter in evidence.letters:
        if (letter.topic, letter.partition, letter.offset) not in planted:
            where = f"{letter.topic} {letter.partition}/{letter.offset}"
            yield Finding("letters", f"{letter.service} could not digest {where}: {letter.reason}")
    for place in sorted(planted.keys() - found):
        yield Finding("letters", f"the poison at {place} ({planted[place]}) is no dead letter")
    if {letter.id for letter in evidence.letters} != {letter.id for letter in evidence.after_replay}:
        yield Finding("letters", "replayed, the dead letters are not the same")


def _places(letters: Iterable[Letter]) -> set[Place]:
    return {(letter.topic, letter.partition, letter.offset) for letter in letters}
