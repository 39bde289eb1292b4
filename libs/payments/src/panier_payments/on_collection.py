"""Paying when the order is handed over: no session, no link, no notifications."""

from collections.abc import Mapping
from typing import ClassVar

from panier_common.contracts.events import PaymentNotified

from panier_payments.provider import BadNotification, Payable, Session, SessionState


class OnCollection:
    """Nothing is paid through Panier: the shop takes the money."""

    name: ClassVar[str] = "on_collection"
    takes_payments: ClassVar[bool] = False
    remote: ClassVar[bool] = False

    def __init__(self, url: str = "") -> None:
        pass

    def link(self, order: Payable) -> str | None:
        return None

    async def create_session(self, order: Payable) -> Session | None:
        return None

    async def look_up(self, session_id: str) -> SessionState:
        return "closed"

    async def close(self, session_id: str) -> SessionState:
        return "closed"

    @staticmethod
    def verify_notification(raw: bytes, headers: Mapping[str, str], secret: str) -> PaymentNotified:
        raise BadNotification("payment on collection has no notifications")
