"""What fuzzing does to recorded webhooks: documents with parts removed, repeated or replaced, and broken bytes."""

import copy
from typing import Any

from hypothesis import strategies as st

TEXT = st.text(st.characters(exclude_categories=[]), max_size=8)
NUMBER = st.integers(-(10**40), 10**40) | st.floats(allow_nan=False, allow_infinity=False)
ANYTHING = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a document that could be changed."""
    found = [path] if path else []
    pairs = document.items() if isinstance(document, dict) else enumerate(document)
    if isinstance(document, dict | list):
        for key, inner in pairs:
            found += places(inner, (*path, key)) if isinstance(inner, dict | list) else [(*path, key)]
    return found


@st.composite
def mutated(draw: st.DrawFn, documents: list[Any]) -> Any:
    """A recorded webhook with some of its parts removed, repeated or replaced by anything."""
    document = copy.deepcopy(draw(st.sampled_from(documents)))
    for _ in range(draw(st.integers(1, 4))):
        reachable = places(document)
        if not reachable:
            break
        *way, last = draw(st.sampled_from(reachable))
        holder = document
        for step in way:
            holder = holder[step]
        match draw(st.sampled_from(["remove", "repeat", "replace"])):
            case "remove":
                del holder[last]
            case "repeat" if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[last]))
            case _:
                holder[last] = draw(ANYTHING)
    return document


@st.composite
def torn(draw: st.DrawFn, bodies: list[bytes]) -> bytes:
    """A recorded webhook whose bytes are cut, doubled or overwritten somewhere."""
    body = bytearray(draw(st.sampled_from(bodies)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(body)))
        match draw(st.sampled_from(["cut", "double", "write"])):
            case "cut":
                del body[at : at + draw(st.integers(1, 40))]
            case "double":
                body[at:at] = body[at : at + draw(st.integers(1, 200))]
            case _:
                body[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=6) | st.sampled_from(WRITTEN))
    return bytes(body)


# Bytes that parsers stumble over.
WRITTEN = [
    b"\\ud800", b"\\u0000", b"\\udc00\\ud800", b"\xff\xfe", b"\xed\xa0\x80", b"\xef\xbb\xbf",
    b"1e999", b"-0", b"NaN", b"9" * 400, b"[" * 2000, b"null", b"{}", b'"', b"\\",
]  # fmt: skip
