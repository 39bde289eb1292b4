"""Signatures over raw bytes."""

import hmac

import pytest
from panier_ingest.signature import is_signed, keys_of

BODY = b'{"text":"\\u00e9"}'


def header(secret: bytes, body: bytes = BODY) -> bytes:
    return b"sha256=" + hmac.new(secret, body, "sha256").hexdigest().encode()


@pytest.mark.parametrize("length", [1, 63, 64, 65, 1000])
def test_a_secret_of_any_length_signs_as_the_standard_library_does(length: int) -> None:
    secret = b"s" * length
    assert is_signed(BODY, header(secret), keys_of([secret]))


@pytest.mark.parametrize("secret", [b"one", b"two"])
def test_every_secret_of_the_list_signs(secret: bytes) -> None:
    assert is_signed(BODY, header(secret), keys_of([b"one", b"two"]))


@pytest.mark.parametrize(
    "given",
    [
        b"",
        b"sha256=",
        header(b"three"),
        header(b"one").removeprefix(b"sha256="),
        header(b"one").replace(b"sha256", b"sha1"),
        header(b"one").upper(),
        header(b"one") + b"0",
        header(b"one", '{"text":"é"}'.encode()),
        b"sha256=\xff\xfe",
    ],
)
def test_anything_else_does_not(given: bytes) -> None:
    assert not is_signed(BODY, given, keys_of([b"one", b"two"]))
