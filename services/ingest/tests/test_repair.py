"""What PostgreSQL refuses is gone, and nothing else is touched."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from panier_ingest.repair import repaired


@pytest.mark.parametrize(
    ("body", "clean"),
    [
        (rb'"\u0000"', rb'"\ufffd"'),
        (rb'"a\ud83d"', rb'"a\ufffd"'),
        (rb'"\ude00\ud83d"', rb'"\ufffd\ufffd"'),
        (rb'"\ud83d\ud83d\ude00"', rb'"\ufffd\ud83d\ude00"'),
        (rb'"\uD83D\uDE00 \u00e9"', rb'"\uD83D\uDE00 \u00e9"'),
        (rb'"\\u0000 \\\u0000"', rb'"\\u0000 \\\ufffd"'),
        (rb'"\\ud83d"', rb'"\\ud83d"'),
        ('"😀é"'.encode(), '"😀é"'.encode()),
        (b'"\xed\xa0\xbd"', '"\ufffd\ufffd\ufffd"'.encode()),
        (b'"\xff"', '"\ufffd"'.encode()),
    ],
)
def test_only_what_cannot_be_kept_is_replaced(body: bytes, clean: bytes) -> None:
    assert repaired(body) == clean


@given(st.text(st.characters(exclude_categories=[]), max_size=20), st.booleans())
def test_any_text_can_be_kept_afterwards(text: str, escaped: bool) -> None:
    body = json.dumps(text, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    kept = json.loads(repaired(body))
    kept.encode()
    assert "\0" not in kept
    if escaped:
        whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        assert len(kept) == len(whole)
