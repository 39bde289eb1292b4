"""Reading single fields of JSON that nobody promised: each function gives what can be used, or None. Pure.

Meta's types are not always those it documents (numbers for strings, placeholders, objects that are missing), so
a wrong type is an absent field, never an exception.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

import msgspec

Fields = Mapping[str, Any]

ID_LIMIT = 512
NAME_LIMIT = 256
# What a PostgreSQL integer holds; no cart holds more of anything.
_INTEGER_LIMIT = 2**31
_PRICE_DIGITS = 18
_EXPONENT_LIMIT = 64
_SECONDS_LIMIT = 10**11
_LONG_NUMBER = 10**30


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent that even Decimal cannot hold
        return None


OBJECT: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any], float_hook=_number)
ANYTHING: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Any, float_hook=_number)


def part(fields: Fields, name: str) -> Fields | None:
    """An object inside."""
    value = fields.get(name)
    return value if isinstance(value, dict) else None


def text(fields: Fields, name: str) -> str | None:
    value = fields.get(name)
    return value if isinstance(value, str) else None


def identifier(fields: Fields, name: str) -> str | None:
    """A word that names something: not empty, not endless; some senders write it as a number."""
    value = fields.get(name)
    return None if value is None else word(value)


def word(value: Any) -> str | None:
    """The value, if it can name something."""
    if type(value) is not str:
        if type(value) is not int or not -_LONG_NUMBER < value < _LONG_NUMBER:
            return None
        value = str(value)
    value = value.strip()
    return value if 0 < len(value) <= ID_LIMIT else None


def integer(value: Any, limit: int = _INTEGER_LIMIT) -> int | None:
    """A whole number however it is written (2, 2.0, "2"); None for what is none or too large to be meant."""
    number = decimal(value)
    if number is None or abs(number) >= limit or number != number.to_integral_value():
        return None
    return int(number)


def decimal(value: Any) -> Decimal | None:
    """A finite number of any JSON spelling, or of digits in a string."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | str):
        # Neither a megabyte of digits nor Python's underscores and other scripts' digits are a number here.
        value = str(value) if not isinstance(value, int) or abs(value) < _LONG_NUMBER else ""
        value = _number(value) if len(value) <= 64 and value.isascii() and "_" not in value else None
    if not isinstance(value, Decimal) or not value.is_finite():
        return None
    # Decimal's own arithmetic overflows beyond this.
    return value if abs(value.adjusted()) <= _EXPONENT_LIMIT else None


def price(value: Any) -> str | None:
    """The decimal text of a price, without exponent."""
    number = decimal(value)
    if number is None or not -_PRICE_DIGITS <= number.adjusted() <= _PRICE_DIGITS:
        return None
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -_PRICE_DIGITS:
        return None
    return format(number, "f")


def degrees(value: Any, limit: float) -> float | None:
    number = decimal(value)
    if number is None:
        return None
    angle = float(number)
    return angle if math.isfinite(angle) and abs(angle) <= limit else None


def moment(value: Any, now: datetime) -> datetime:
    """Unix seconds (text or number) as a time; `now` for what cannot be one, such as a day not yet come."""
    if isinstance(value, str) and 0 < len(value) <= 10 and value.isascii() and value.isdigit():
        seconds: int | None = int(value)  # nearly always
    else:
        seconds = integer(value, _SECONDS_LIMIT)
    if seconds is None or seconds <= 0:
        return now
    at = _instant(seconds)
    return at if at <= now or at <= now + timedelta(days=1) else now


@lru_cache(maxsize=64)
def _instant(seconds: int) -> datetime:
    """What comes in one moment was mostly written in one second."""
    return datetime.fromtimestamp(seconds, UTC)
