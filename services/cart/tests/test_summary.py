"""What customers are sent, to the letter: golden files that only people change; and the words in each language."""

import json
import re
from pathlib import Path

import pytest
from panier_cart.summary import words
from panier_common.contracts.events import MessageRequested
from panier_common.contracts.outbound import unpacked

from .story import SHELF, answer, asks, new_cart, order, press, told

GOLDEN = Path(__file__).parent / "data"
CART = told(new_cart(), order(("croissant", 4), ("tradition", 2), text="Bien cuits svp")).cart

SITUATIONS = {
    "cart_with_note": (new_cart(), order(("croissant", 4), ("tradition", 2), text="Bien cuits svp")),
    "sold_out_and_other_price": (new_cart(), order(("galette", 1, "22"), ("croissant", 1, "9.99"))),
    "empty_cart": (new_cart(), press("cart:show")),
    "lines_to_edit": (CART, press("cart:edit")),
    "one_line": (CART, press("cart:line:croissant")),
    "other_currency": (CART, order(("croissant", 1, "1.40"), currency="USD")),
}


@pytest.mark.parametrize("language", ["fr", "en", "fr-FR", "en-GB"])
@pytest.mark.parametrize("situation", SITUATIONS)
def test_what_is_sent_is_what_was_reviewed(situation, language):
    cart, content = SITUATIONS[situation]
    events = answer(cart, asks(content, language=language), SHELF).events
    sent = [
        unpacked(event.message).model_dump(mode="json", exclude_none=True)
        for event in events
        if isinstance(event, MessageRequested)
    ]
    golden = GOLDEN / f"{situation}.{language[:2]}.json"
    assert sent == json.loads(golden.read_text(encoding="utf-8"))


def test_every_language_says_everything_with_the_same_fields():
    def fields(texts: dict[str, str]) -> dict[str, list[str]]:
        return {key: sorted(set(re.findall(r"{(\w+)}", text))) for key, text in texts.items()}

    said = {language: fields(texts) for language, texts in words.languages.items()}
    assert set(said) >= {"fr", "en"}
    assert all(texts == said["fr"] for texts in said.values())


def test_titles_of_buttons_fit_whatsapp():
    titles = [
        text
        for texts in words.languages.values()
        for key, text in texts.items()
        if key.startswith("button.") or key == "edit.button"
    ]
    assert max(map(len, titles)) <= 20
