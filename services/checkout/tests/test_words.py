"""Every language says everything, with the same fields, and nothing is said that no code asks for."""

import re
import string
from importlib import resources

from panier_common.words import Words

WORDS = Words("panier_checkout")


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_language_has_every_word_with_the_same_fields():
    first, *others = WORDS.languages.values()
    for other in others:
        assert other.keys() == first.keys()
        for key, text in first.items():
            assert fields(other[key]) == fields(text), key


def test_the_two_languages_of_the_contract_are_there():
    assert {"fr", "en"} <= WORDS.languages.keys()


def test_buttons_fit_and_are_all_different():
    for texts in WORDS.languages.values():
        titles = [text for key, text in texts.items() if key.startswith("button.")]
        assert all(len(title) <= 20 for title in titles)
        assert len(titles) == len(set(titles))


def test_no_word_is_left_over():
    """A key is written out in the code, or its group is chosen by a state or a way."""
    code = "".join(
        file.read_text(encoding="utf-8")
        for file in resources.files("panier_checkout").iterdir()
        if file.name.endswith(".py")
    )
    groups = {"button", "state", "advanced", "placed", "payment", "already"}
    for key in WORDS.languages["fr"]:
        plain = re.sub(r"\.(one|other)$", "", key)
        assert f'"{plain}"' in code or plain.split(".")[0] in groups, key
