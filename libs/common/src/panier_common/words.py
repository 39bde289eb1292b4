"""What services say, from their `words/<language>.toml`: one file a language, keys by dotted name."""

import tomllib
from functools import lru_cache
from importlib import resources
from typing import Any

from panier_common.locales import locale_of


class Words:
    """The message catalogues of one package. A language it lacks speaks its base, else the first there is."""

    def __init__(self, package: str, first: str = "fr") -> None:
        folder = resources.files(package) / "words"
        self._texts = {
            file.name.removesuffix(".toml"): _flat(tomllib.loads(file.read_text(encoding="utf-8")))
            for file in folder.iterdir()
            if file.name.endswith(".toml")
        }
        self._first = first if first in self._texts else min(self._texts)
        self._text = lru_cache(maxsize=4096)(self._look_up)

    @property
    def languages(self) -> dict[str, dict[str, str]]:
        """language → key → text: for the test that lists what is missing."""
        return self._texts

    def __call__(self, language: str, key: str, **fields: object) -> str:
        """The text with its fields filled in. Raises KeyError for a key that is in no catalogue."""
        return self._text(language, key).format(**fields)

    def count(self, language: str, key: str, n: int, **fields: object) -> str:
        """The text for n things: `<key>.one`, `<key>.other`, or whichever plural the language has."""
        form = locale_of(language).plural_form(n)
        texts = self._of(language)
        return self(language, f"{key}.{form}" if f"{key}.{form}" in texts else f"{key}.other", n=n, **fields)

    def _look_up(self, language: str, key: str) -> str:
        texts = self._of(language)
        return texts[key] if key in texts else self._texts[self._first][key]

    def _of(self, language: str) -> dict[str, str]:
        base = language.replace("_", "-").partition("-")[0]
        return self._texts.get(language) or self._texts.get(base) or self._texts[self._first]


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = str(value)
    return flat
