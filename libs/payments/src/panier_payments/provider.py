"""What a payment provider must be able to do, and the errors of its notifications.

The door (ingest) uses `verify_notification`; checkout uses the rest. A provider holds its settings and
nothing else: what was asked of it is kept by checkout, what it answers comes back as notifications.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal, Protocol, TypeAlias

import msgspec
from panier_common.contracts.events import PaymentNotified

# open: can be paid; closed: cannot be paid any more and was not; paid: too late to close.
SessionState: TypeAlias = Literal["open", "closed", "paid"]


class PaymentError(Exception):
    """The parent of what can be wrong with a notification.

    PaymentError
    ├── BadSignature       nobody we know sent it: 401
    └── BadNotification    signed, but not understood: 400
    """


class BadSignature(PaymentError):  # noqa: N818 - a condition of the message, named as the door answers it
    """The signature is missing or wrong."""


class BadNotification(PaymentError):  # noqa: N818 - as above
    """The body is not what the provider promises; the text says which part."""


class ProviderError(Exception):
    """A provider could not be asked, or gave no answer that can be used: it is asked again."""


class Payable(msgspec.Struct, frozen=True):
    """What a provider needs to know of an order: never who the customer is."""

    order_id: str
    minor: int
    currency: str


class Session(msgspec.Struct, frozen=True):
    """One way to pay one order. `id` is the provider's name for it, `url` where the customer pays."""

    id: str
    url: str


class Provider(Protocol):
    """A payment provider. `url` is the base address it is reached at; a provider without one ignores it."""

    name: ClassVar[str]
    # False: nothing is paid through it, an order is placed at once and paid when it is handed over.
    takes_payments: ClassVar[bool]
    # True: it is reached over the network. It tells no link without a session, and checkout asks it outside of
    # any transaction, until it answers.
    remote: ClassVar[bool]

    def __init__(self, url: str = "") -> None: ...

    def link(self, order: Payable) -> str | None:
        """The address to pay at, when it can be told without asking the provider; pure."""
        ...

    async def create_session(self, order: Payable) -> Session | None:
        """Open a session: the same one for one order however often asked; None when it has none.

        Of a remote provider, `order_id` is the idempotency key. This and the two below raise ProviderError,
        OSError or TimeoutError when there is no answer.
        """
        ...

    async def look_up(self, session_id: str) -> SessionState:
        """What the provider says of a session now."""
        ...

    async def close(self, session_id: str) -> SessionState:
        """Take the session back: `closed` once it cannot be paid any more, `paid` when that is too late."""
        ...

    @staticmethod
    def verify_notification(raw: bytes, headers: Mapping[str, str], secret: str) -> PaymentNotified:
        """Check who sent it, then read it; `at` is now. Header names may come in any case.

        Raises BadSignature, then BadNotification.
        """
        ...
