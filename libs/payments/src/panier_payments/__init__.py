"""Payment providers behind one Protocol.

`PROVIDERS` is the whole list: a provider is one file here, one line below, and what it needs in the
conformance suite. Handlers never name a provider.
"""

from panier_payments.on_collection import OnCollection
from panier_payments.provider import (
    BadNotification,
    BadSignature,
    Payable,
    PaymentError,
    Provider,
    ProviderError,
    Session,
    SessionState,
)
from panier_payments.simulated import Simulated

PROVIDERS: dict[str, type[Provider]] = {
    "simulated": Simulated,
    "on_collection": OnCollection,
}

__all__ = [
    "PROVIDERS",
    "BadNotification",
    "BadSignature",
    "OnCollection",
    "Payable",
    "PaymentError",
    "Provider",
    "ProviderError",
    "Session",
    "SessionState",
    "Simulated",
]
