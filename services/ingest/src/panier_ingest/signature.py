"""Whether a webhook was signed by an app of ours. Pure; must never log what it compares."""

import hmac
from collections.abc import Sequence

PREFIX = b"sha256="


def is_signed(raw: bytes, given: bytes, secrets: Sequence[bytes]) -> bool:
    """Whether `given` (the header `X-Hub-Signature-256`) is `raw`'s HMAC-SHA256 under one of the secrets.

    Over the bytes as they came: Meta signs its own escaped form, so nothing may be parsed first. Every secret
    is tried, so that the time taken does not tell which one it was.
    """
    if not given.startswith(PREFIX):
        return False
    signature = given[len(PREFIX) :]
    signed = False
    for secret in secrets:
        signed |= hmac.compare_digest(hmac.digest(secret, raw, "sha256").hex().encode(), signature)
    return signed
