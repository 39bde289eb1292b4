"""How people of a language write money, times and plurals."""

from contextlib import suppress
from functools import lru_cache

from babel import Locale, UnknownLocaleError


@lru_cache(maxsize=256)
def locale_of(language: str) -> Locale:
    """Of a language tag, `en-GB`. In a region that nobody described they write as elsewhere.

    What is no language counts as English: a customer's message must not become a dead letter for it.
    """
    for tag in (language, language.partition("-")[0]):
        with suppress(UnknownLocaleError, ValueError):
            return Locale.parse(tag, sep="-")
    return Locale("en")
