"""What PostgreSQL refuses in text, taken out of a body's bytes before anybody parses them. Pure.

U+0000 and lone surrogates, as escapes, and bytes that are no UTF-8 become U+FFFD. An escape is replaced by one
of equal length: everything else of Meta's JSON stays byte for byte.
"""

import re

_REPLACEMENT = rb"\ufffd"
# Escaped backslashes and whole surrogate pairs are matched first, so that they are stepped over.
_ESCAPES = re.compile(
    rb"(\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|\\u(?:0000|[dD][89a-fA-F][0-9a-fA-F]{2})"
)
# Without one of these there is nothing to repair, and nearly no body has one.
_SUSPECT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


def repaired(body: bytes) -> bytes:
    """The body without U+0000, lone surrogates and broken UTF-8; the same object when it has none."""
    if not body.isascii():
        body = _as_utf8(body)
    if b"\\" not in body or _SUSPECT.search(body) is None:
        return body
    return _ESCAPES.sub(lambda match: match[1] or _REPLACEMENT, body)


def _as_utf8(body: bytes) -> bytes:
    try:
        body.decode()
    except UnicodeDecodeError:
        return body.decode(errors="replace").encode()
    return body
