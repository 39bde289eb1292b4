"""How the simulated PostgreSQL computes: nulls, comparisons, functions, aggregates, for compiled statements."""

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import zip_longest
from operator import itemgetter
from random import Random
from typing import Any
from uuid import UUID

import msgspec


def eq(a: Any, b: Any) -> Any:
    return None if a is None or b is None else a == b


def ne(a: Any, b: Any) -> Any:
    return None if a is None or b is None else a != b


def lt(a: Any, b: Any) -> Any:
    return None if a is None or b is None else a < b


def le(a: Any, b: Any) -> Any:
    return None if a is None or b is None else a <= b


def gt(a: Any, b: Any) -> Any:
    return None if a is None or b is None else a > b


def ge(a: Any, b: Any) -> Any:
    return None if a is None or b is None else a >= b


def both(a: Any, b: Any) -> Any:
    if a is False or b is False:
        return False
    return None if a is None or b is None else True


def either(a: Any, b: Any) -> Any:
    if a is True or b is True:
        return True
    return None if a is None or b is None else False


def no(a: Any) -> Any:
    return None if a is None else not a


def add(a: Any, b: Any) -> Any:
    return None if a is None or b is None else a + b


def sub(a: Any, b: Any) -> Any:
    return None if a is None or b is None else a - b


def mul(a: Any, b: Any) -> Any:
    return None if a is None or b is None else a * b


def among(a: Any, values: Iterable[Any] | None) -> Any:
    """`a = ANY(values)`; the same for `a IN (...)`."""
    if a is None or values is None:
        return None
    unknown = False
    for value in values:
        if value == a:
            return True
        unknown = unknown or value is None
    return None if unknown else False


def greatest(*values: Any) -> Any:
    return max((value for value in values if value is not None), default=None)


def least(*values: Any) -> Any:
    return min((value for value in values if value is not None), default=None)


def coalesce(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def lower(text: str | None) -> str | None:
    return None if text is None else text.lower()


def folded(text: str | None) -> str | None:
    """As unaccent does with the letters of our test data."""
    if text is None:
        return None
    plain = unicodedata.normalize("NFD", text.lower())
    return "".join(letter for letter in plain if not unicodedata.combining(letter))


def epoch(value: datetime | timedelta | None) -> float | None:
    if value is None:
        return None
    return value.total_seconds() if isinstance(value, timedelta) else value.timestamp()


def seconds(value: float | None, each: int = 1) -> timedelta | None:
    return None if value is None else timedelta(seconds=value * each)


def member(document: str | None, name: str) -> str | None:
    """`document ->> name`: an object's member as text."""
    if document is None:
        return None
    value = _parsed(document).get(name)
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


_last: tuple[str, dict[str, Any]] = ("", {})


def _parsed(document: str) -> dict[str, Any]:
    """The last document is kept: the generated columns of one row all look into the same."""
    global _last
    if _last[0] is not document:
        _last = (document, msgspec.json.decode(document))
    return _last[1]


def number(value: Any) -> int | None:
    return None if value is None else int(value)


def real(value: Any) -> float | None:
    return None if value is None else float(value)


def uuid(value: Any) -> UUID | None:
    return value if value is None or isinstance(value, UUID) else UUID(str(value))


def uuids(values: Sequence[Any] | None) -> list[UUID | None] | None:
    return None if values is None else [uuid(value) for value in values]


def explode(*arrays: Sequence[Any] | None) -> list[tuple[Any, ...]]:
    """`unnest` of several arrays at once: as long as the longest."""
    return list(zip_longest(*(array or () for array in arrays)))


def sorting(value: Any) -> tuple[int, Any]:
    """Nulls come last, and first where the order is turned round."""
    return (1, 0) if value is None else (0, value)


first = itemgetter(0)


def shuffle(rows: list[Any], random: Random) -> None:
    """In any order: by keys that chance gives, in two thirds of the time that `Random.shuffle` takes."""
    chance = random.random
    rows.sort(key=lambda row: chance())


AGGREGATES: dict[str, Callable[[list[Any]], Any]] = {
    "Count": len,
    "Min": lambda values: min((v for v in values if v is not None), default=None),
    "Max": lambda values: max((v for v in values if v is not None), default=None),
    "Sum": lambda values: sum(v for v in values if v is not None) if any(v is not None for v in values) else None,
}


def joined(pairs: list[tuple[Any, Any]], between: Any) -> Any:
    """`string_agg` of (order, value), for text and for bytes."""
    values = [v for _, v in sorted(pairs, key=lambda pair: sorting(pair[0])) if v is not None]
    return between.join(values) if values else None
