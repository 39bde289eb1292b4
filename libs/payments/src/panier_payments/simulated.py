"""The simulated provider: a page that asks "pay or fail?", for development, tests and demonstrations.

It keeps nothing, so its sessions are pure: the link says all there is to know, closing works at once, and
what is paid after that comes as a notification that checkout keeps as a problem.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Literal
from urllib.parse import quote

import msgspec
from msgspec import Meta
from panier_common.contracts.events import PaymentNotified

from panier_payments.provider import BadNotification, BadSignature, Payable, Session, SessionState

SIGNATURE_HEADER = "x-panier-signature"
# What a bigint of PostgreSQL holds, and more than any order.
MINOR_LIMIT = 2**53

_Id = Annotated[str, Meta(min_length=1, max_length=200)]


class _Notification(msgspec.Struct, frozen=True):
    """The body of CONTRACT's `POST /webhooks/payments/simulated`; msgspec refuses a bool for the int."""

    id: _Id
    order_id: _Id
    state: Literal["paid", "failed"]
    minor: Annotated[int, Meta(ge=0, le=MINOR_LIMIT)]
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]


def sign(raw: bytes, secret: str) -> str:
    """The header's value for this body."""
    return "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


class Simulated:
    """`url` is the page's address; the order id follows it as a path segment.

    `{currency}` and `{minor}` in it stand for the amount: a page that knows no shop must be told.
    """

    name: ClassVar[str] = "simulated"
    takes_payments: ClassVar[bool] = True
    remote: ClassVar[bool] = False

    def __init__(self, url: str = "") -> None:
        self._url = url.rstrip("/")

    def link(self, order: Payable) -> str | None:
        page = self._url.replace("{currency}", order.currency).replace("{minor}", str(order.minor))
        return f"{page}/{quote(order.order_id, safe='')}"

    async def create_session(self, order: Payable) -> Session | None:
        return Session(order.order_id, self.link(order) or "")

    async def look_up(self, session_id: str) -> SessionState:
        return "open"

    async def close(self, session_id: str) -> SessionState:
        return "closed"

    @staticmethod
    def verify_notification(raw: bytes, headers: Mapping[str, str], secret: str) -> PaymentNotified:
        given = next((value for name, value in headers.items() if name.lower() == SIGNATURE_HEADER), "")
        # An empty secret would be one that everybody knows.
        if not secret or not hmac.compare_digest(given.encode(), sign(raw, secret).encode()):
            raise BadSignature("the signature is missing or wrong")
        try:
            told = msgspec.json.decode(raw, type=_Notification)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadNotification(str(error)) from None
        if not told.id.isprintable() or not told.order_id.isprintable():
            raise BadNotification("an id holds characters that cannot be printed")
        return PaymentNotified(
            provider="simulated",
            notification_id=told.id,
            order_id=told.order_id,
            state=told.state,
            minor=told.minor,
            currency=told.currency,
            at=datetime.now(UTC),
            raw=msgspec.Raw(raw),
        )
