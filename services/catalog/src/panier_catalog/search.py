"""What is searched for and which of the hits are shown. Pure; PostgreSQL finds them (db.py).

A text is cut into words; each product found says which of them it has. Shown are the products that have the
most of them, and those that have a word no better product has: "croissants et baguette" finds both. A product that
lacks a word may still be shown, but is not what was looked for: "pain sans noix" may be a question of health.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from panier_common.contracts.outbound import MAX_PRODUCTS
from panier_common.routing import folded

MAX_WORDS = 12
MAX_WORD = 40
CONFIGURATIONS = {"fr": "french", "en": "english"}
ALL_WORDS = -1
# Longer texts tell a story; what is looked for stands in the beginning.
_BEGINNING = 1000

_WORD = re.compile(r"[^\W_]+")
# Words that ask without naming anything. Those that carry no meaning at all are PostgreSQL's stop words.
_ASKING = frozenset(
    _WORD.findall("""
    aimerais aime allo aujourd avoir besoin bonjour bonsoir cherche chercher combien commande commander coucou
    coute demain dispo disponible disponibles encore envie est faites faudrait fait hello hey hi hui jour
    maintenant merci mettez minute monsieur madame plait plutot possible pourrais pouvez pourriez prendre
    prendrais prix propose proposez quel quelle quelles quels recherche reste salut souhaite souhaiterais stp svp
    trouve vend vendez veux voir voudrai voudrais voulais y
    alors aussi ca chez comme dire dites donc juste matin midi peut peux quoi savoir soir sont
    any available buy can could cost evening get give good got have like looking madam morning much need now
    offer order please price sell show sir some still take thank thanks there today tomorrow want would
    """)
)
# Words of how many, which no product need have.
_COUNTING = frozenset(
    _WORD.findall("""
    deux trois quatre cinq six sept huit neuf dix douze quinze vingt demi douzaine dizaine
    two three four five seven eight nine ten eleven twelve fifteen twenty half dozen couple few
    """)
)
# Words that turn what is said into its contrary, though PostgreSQL takes most of them for stop words.
_DENYING = frozenset(_WORD.findall("sans pas ni non aucun aucune without no not nor free"))
# Between the things of a list.
_AND = re.compile(r"\b(?:et|ou|and|or)\b|[,;+&\n]")


@dataclass(frozen=True, slots=True)
class Term:
    """A word to look for in one text search configuration (`french`, `english`, `simple`)."""

    position: int
    word: str
    configuration: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A product that has the word at `position` of the query, or all of them (`ALL_WORDS`).

    `meant` are the positions of the query's words that say something: those of no language's stop words.
    """

    position: int
    sku: str
    title: str
    collection: str
    sold_out: bool
    rank: float
    meant: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Found:
    """Products to show, best first, and titles of better ones that are sold out.

    `matches` tells whether each thing that was looked for has a product with all the words that matter.
    """

    products: tuple[Hit, ...] = ()
    sold_out: tuple[str, ...] = ()
    matches: bool = True


def words(text: str) -> list[str]:
    """The words worth looking for, each once, accents kept (`thé` is not `the`)."""
    every = [w for w in dict.fromkeys(_WORD.findall(text[:_BEGINNING].casefold())) if len(w) <= MAX_WORD]
    naming = [w for w in every if folded(w) not in _ASKING]
    return (naming or every)[:MAX_WORDS]


def named(*texts: str) -> set[str]:
    """The words of titles, collections and brands: what a misspelt word may have meant."""
    return {word for text in texts for word in _WORD.findall(text.casefold()) if len(word) <= MAX_WORD}


def terms(text: str, languages: Iterable[str]) -> list[Term]:
    """Each word under the configurations of these languages and under the one that knows no language."""
    known = dict.fromkeys(CONFIGURATIONS[base] for tag in languages if (base := _base(tag)) in CONFIGURATIONS)
    return [
        Term(position, word, configuration)
        for position, word in enumerate(words(text))
        for configuration in (*known, "simple")
    ]


def _base(language: str) -> str:
    return language.partition("-")[0].lower()


@dataclass(slots=True)
class _Candidate:
    hit: Hit
    positions: set[int]
    rank: float


def choose(hits: Sequence[Hit], text: str, limit: int = MAX_PRODUCTS) -> Found:
    """The products to show of the hits of a text; a better one that is sold out is named, never offered."""
    ranked = _ranked(hits)
    offered = [c for c in ranked if not c.hit.sold_out]
    best = _coverage(offered[0]) if offered else (0, 0.0)
    missed = [c.hit.title for c in ranked if c.hit.sold_out and _coverage(c)[0] > best[0]]
    if not offered:
        missed = [c.hit.title for c in ranked]
    return Found(tuple(_useful(offered)[:limit]), tuple(missed[:3]), _match(offered, text))


def _ranked(hits: Sequence[Hit]) -> list[_Candidate]:
    candidates: dict[str, _Candidate] = {}
    for hit in hits:
        candidate = candidates.setdefault(hit.sku, _Candidate(hit, set(), 0.0))
        candidate.positions.add(hit.position)
        candidate.rank += hit.rank
    return sorted(candidates.values(), key=lambda c: (*(-x for x in _coverage(c)), c.hit.title, c.hit.sku))


def _coverage(candidate: _Candidate) -> tuple[int, float]:
    """How many of the words the product has, then how well; all of them beats any number."""
    count = 1000 if ALL_WORDS in candidate.positions else len(candidate.positions)
    return count, candidate.rank


def _match(offered: Sequence[_Candidate], text: str) -> bool:
    places = {word: at for at, word in enumerate(words(text))}
    meant = frozenset().union(*(candidate.hit.meant for candidate in offered))
    matter = {places[word] for word in _DENYING & places.keys()} | (meant - {places[w] for w in places if _counts(w)})
    have = [_all_words(candidate, places) for candidate in offered]
    return all(any(thing & matter <= its for its in have) for thing in _things(text, places))


def _counts(word: str) -> bool:
    return word in _COUNTING or (word.isdigit() and len(word) < 3)


def _all_words(candidate: _Candidate, places: Mapping[str, int]) -> frozenset[int]:
    """The positions of the words a product has, also of a stop word that is in its title."""
    found = candidate.hit.meant if ALL_WORDS in candidate.positions else candidate.positions
    return frozenset(found) | {places[word] for word in named(candidate.hit.title) & places.keys()}


def _things(text: str, places: Mapping[str, int]) -> list[set[int]]:
    """The positions of the words of each thing a text lists; a denial may be of all of them, so it is one thing."""
    begin = text[:_BEGINNING].casefold()
    parts = [begin] if _DENYING & places.keys() else _AND.split(begin)
    return [{places[word] for word in _WORD.findall(part) if word in places} for part in parts]


def _useful(ranked: Sequence[_Candidate]) -> list[Hit]:
    """The products with the most words, and after them those with a word that none before them has."""
    shown: list[Hit] = []
    covered: set[int] = set()
    for level in _levels(ranked):
        fresh = [candidate for candidate in level if candidate.positions - covered]
        shown += [candidate.hit for candidate in fresh]
        covered = covered.union(*(candidate.positions for candidate in fresh))
    return shown


def _levels(ranked: Sequence[_Candidate]) -> list[list[_Candidate]]:
    """The candidates in groups that have equally many words, best first."""
    levels: dict[int, list[_Candidate]] = {}
    for candidate in ranked:
        levels.setdefault(_coverage(candidate)[0], []).append(candidate)
    return [levels[count] for count in sorted(levels, reverse=True)]
