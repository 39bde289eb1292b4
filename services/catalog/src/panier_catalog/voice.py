"""The words of one language, bound for one answer. Pure."""

from dataclasses import dataclass

from panier_common.words import Words


@dataclass(frozen=True, slots=True)
class Voice:
    """`voice("menu.body")` is that text in `language`; `voice.count` picks the form for a number."""

    words: Words
    language: str

    def __call__(self, key: str, **fields: object) -> str:
        return self.words(self.language, key, **fields)

    def count(self, key: str, n: int, **fields: object) -> str:
        return self.words.count(self.language, key, n, **fields)
