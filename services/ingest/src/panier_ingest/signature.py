"""Whether a webhook was signed by an app of ours. Pure; must never log what it compares."""

import hmac
from collections.abc import Iterable, Sequence
from hashlib import sha256

PREFIX = b"sha256="
_BLOCK = 64


class Key:
    """One app's secret, its two halves of HMAC-SHA256 (RFC 2104) begun: what is left is the body's hashing."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, secret: bytes) -> None:
        block = (sha256(secret).digest() if len(secret) > _BLOCK else secret).ljust(_BLOCK, b"\0")
        self._inner = sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = sha256(bytes(byte ^ 0x5C for byte in block))

    def signature(self, raw: bytes) -> bytes:
        """In lower-case hexadecimal digits."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(raw)
        outer.update(inner.digest())
        return outer.hexdigest().encode()


def keys_of(secrets: Iterable[bytes]) -> tuple[Key, ...]:
    return tuple(Key(secret) for secret in secrets)


def is_signed(raw: bytes, given: bytes, keys: Sequence[Key]) -> bool:
    """Whether `given` (the header `X-Hub-Signature-256`) is `raw`'s HMAC-SHA256 under one of the secrets.

    Over the bytes as they came: Meta signs its own escaped form, so nothing may be parsed first. Every secret
    is tried, so that the time taken does not tell which one it was.
    """
    if not given.startswith(PREFIX):
        return False
    signature = given[len(PREFIX) :]
    signed = False
    for key in keys:
        signed |= hmac.compare_digest(key.signature(raw), signature)
    return signed
