"""How many messages a second each number may send and receive: as its shop's file or Meta says, or the usual. Pure."""

from collections.abc import Mapping

import msgspec
from panier_common.contracts.events import AccountChanged, ShopConfigured

from panier_sender.rates import COEXISTENCE_PER_SECOND, DEFAULT_PER_SECOND, HIGHEST_PER_SECOND

QUALITY = "phone_number_quality_update"
UPGRADED = "THROUGHPUT_UPGRADE"
# Only told of numbers that somebody of the shop uses on a telephone as well.
COEXISTENCE = frozenset({"smb_message_echoes", "smb_app_state_sync", "history"})


class _Metadata(msgspec.Struct):
    display_phone_number: str = ""


class _Value(msgspec.Struct):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)
    display_phone_number: str = ""
    event: str = ""


class _Change(msgspec.Struct):
    value: _Value


_DECODER = msgspec.json.Decoder(_Change)


def told(event: AccountChanged) -> tuple[str, int] | None:
    """(digits of the display number, messages a second) where the webhook says so.

    Meta names the level, not the figure, and has only ever raised it; beside the WhatsApp Business app it is fixed.
    """
    if event.field != QUALITY and event.field not in COEXISTENCE:
        return None
    try:
        value = _DECODER.decode(bytes(event.raw)).value
    except msgspec.DecodeError:
        return None
    if event.field in COEXISTENCE:
        found = digits(value.metadata.display_phone_number), COEXISTENCE_PER_SECOND
    elif value.event == UPGRADED:
        found = digits(value.display_phone_number), HIGHEST_PER_SECOND
    else:
        return None
    return found if found[0] else None


def digits(display: str) -> str:
    """A number as Meta's webhooks and the shops file can both be brought to."""
    return "".join(c for c in display if c.isdecimal())


class Limits:
    """The limit of each number. `told` is what Meta said, by the digits of the display number."""

    def __init__(self, shop_of: Mapping[str, ShopConfigured], usual: int = DEFAULT_PER_SECOND) -> None:
        self._shop_of = shop_of
        self._usual = usual
        self.told: dict[str, int] = {}

    def __call__(self, phone_number_id: str) -> float:
        shop = self._shop_of.get(phone_number_id)
        number = next((n for n in shop.numbers if n.phone_number_id == phone_number_id), None) if shop else None
        if number is None:
            return self._usual
        if number.messages_per_second is not None:
            return min(number.messages_per_second, HIGHEST_PER_SECOND)
        return self.told.get(digits(number.display), self._usual)
