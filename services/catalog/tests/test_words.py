"""Every text is there in both languages, with the same fields, and fits where WhatsApp shows it."""

import string

import pytest
from panier_catalog.handlers import WORDS
from panier_common.contracts.outbound import BODY_LIMIT, BUTTON_TITLE_LIMIT, ROW_TITLE_LIMIT

LANGUAGES = sorted(WORDS.languages)


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_french_and_english_are_there():
    assert {"en", "fr"} <= set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_missing_and_none_lacks_a_field(language):
    texts, model = WORDS.languages[language], WORDS.languages["fr"]
    assert sorted(texts) == sorted(model)
    assert {key: fields(text) for key, text in texts.items()} == {key: fields(text) for key, text in model.items()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_fits(language):
    for key, text in WORDS.languages[language].items():
        titled = key.startswith("button.") or key == "menu.button"
        limit = BUTTON_TITLE_LIMIT if titled else ROW_TITLE_LIMIT if key == "menu.more" else BODY_LIMIT // 2
        limit = 60 if key in {"footer", "search.header", "feed.other"} else limit
        assert 0 < len(text) <= limit, f"{language}: {key}"
