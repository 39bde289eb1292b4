"""How far one of our messages came. Pure. A state never goes back: news that arrive late change nothing."""

from enum import IntEnum


class Reached(IntEnum):
    """In this order, so that the further one of two is the greater.

    `FAILED` is below `DELIVERED`: a message that Meta gave up and then delivered after all was delivered.
    """

    QUEUED = 0
    SENT = 1
    FAILED = 2
    DELIVERED = 3
    READ = 4


_OF_STATUS = {
    "sent": Reached.SENT,
    "delivered": Reached.DELIVERED,
    "read": Reached.READ,
    "played": Reached.READ,
    "failed": Reached.FAILED,
}


def reached(status: str) -> Reached | None:
    """What a status of Meta's says; None for one that says nothing about how far the message came."""
    return _OF_STATUS.get(status)


def state_of(*told: int | None) -> str:
    """The state as it is shown, out of everything that was told about the message."""
    return Reached(max((one for one in told if one is not None), default=Reached.QUEUED)).name.lower()
