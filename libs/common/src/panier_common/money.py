"""Money as integers of the currency's smallest unit, and how it is read and shown. Never a float."""

import re
from decimal import Decimal, InvalidOperation
from functools import lru_cache

import msgspec
from babel.numbers import format_currency, get_currency_precision

from panier_common.locales import locale_of

_PRICE = re.compile(r"^\s*(\d{1,9}(?:\.\d{1,4})?)\s+([A-Z]{3})\s*$")


class Money(msgspec.Struct, frozen=True):
    """An amount: `minor` units (cents for EUR) of an ISO 4217 `currency`."""

    minor: int
    currency: str


@lru_cache(maxsize=256)
def digits(currency: str) -> int:
    """How many decimal digits the currency has: 2 for EUR, 0 for JPY, 3 for KWD."""
    return get_currency_precision(currency)


def minor_units(amount: str, currency: str) -> int:
    """`"2.80"` of EUR as 280. Raises ValueError when it is no number or has more digits than the currency."""
    try:
        value = Decimal(amount).scaleb(digits(currency))
    except InvalidOperation:
        raise ValueError(f"{amount!r} is not an amount of money") from None
    if not value.is_finite() or value != value.to_integral_value():
        raise ValueError(f"{amount!r} has more decimals than {currency} knows")
    return int(value)


def parse_price(text: str) -> Money:
    """A feed's `2.80 EUR`. Raises ValueError with what was wrong."""
    match = _PRICE.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not a price like `2.80 EUR`")
    return Money(minor_units(match[1], match[2]), match[2])


@lru_cache(maxsize=4096)
def show(minor: int, currency: str, language: str) -> str:
    """The amount as people of that language write it: `2,80 €`, `€2.80`."""
    return format_currency(Decimal(minor).scaleb(-digits(currency)), currency, locale=locale_of(language))
