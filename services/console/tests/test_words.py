"""Every language says everything, within what WhatsApp shows."""

import pytest
from panier_common.contracts.outbound import BODY_LIMIT, BUTTON_TITLE_LIMIT
from panier_console.handlers import words


@pytest.mark.parametrize("language", sorted(words.languages))
def test_no_word_is_missing(language: str) -> None:
    assert words.languages[language].keys() == words.languages["fr"].keys()


@pytest.mark.parametrize("language", sorted(words.languages))
def test_words_fit(language: str) -> None:
    for key, text in words.languages[language].items():
        is_title = key in {"button.menu", "button.person"}
        assert 0 < len(text) <= (BUTTON_TITLE_LIMIT if is_title else BODY_LIMIT), key
