"""Amounts as people of a language tag write them."""

import pytest
from panier_common import money


@pytest.mark.parametrize(
    ("language", "shown"),
    [
        ("fr", "1 234,50 €"),
        ("fr-FR", "1 234,50 €"),
        ("en", "€1,234.50"),
        ("en-GB", "€1,234.50"),
        ("pt-BR", "€ 1.234,50"),
        ("fr-US", "1 234,50 €"),
        ("tlh", "€1,234.50"),
        ("e\ufffdn", "€1,234.50"),
    ],
)
def test_an_amount_is_written_as_in_the_region_or_else_in_the_language(language, shown):
    written = money.show(123450, "EUR", language)
    assert " ".join(written.split()) == shown
