"""Which customers stopped marketing messages, or want them again, as Meta tells by `user_preferences`. Pure."""

import msgspec
from panier_common.contracts.events import AccountChanged
from panier_common.identity import conversation_of

PREFERENCES = "user_preferences"
MARKETING = "marketing_messages"
STOP = "stop"


class _Ids(msgspec.Struct):
    """Digits, and a business-scoped user id: the conversation may go by either."""

    wa_id: str = ""
    user_id: str = ""


class _Preference(_Ids):
    category: str = ""
    value: str = ""


class _Metadata(msgspec.Struct):
    phone_number_id: str = ""


class _Value(msgspec.Struct):
    metadata: _Metadata
    contacts: list[_Ids] = []
    user_preferences: list[_Preference] = []


class _Change(msgspec.Struct):
    value: _Value


_DECODER = msgspec.json.Decoder(_Change)


def told(event: AccountChanged) -> dict[str, bool]:
    """Conversation → whether offers are stopped; `resume` and `signup` say that they are wanted."""
    if event.field != PREFERENCES:
        return {}
    try:
        value = _DECODER.decode(bytes(event.raw)).value
    except msgspec.DecodeError:
        return {}
    number = value.metadata.phone_number_id
    found: dict[str, bool] = {}
    # A lone contact is the one that a lone preference is about, whatever number it shows.
    lone = value.contacts if len(value.contacts) == len(value.user_preferences) == 1 else []
    for preference in value.user_preferences:
        if preference.category == MARKETING and preference.value and number:
            ids = {id for who in (preference, *lone) for id in (who.wa_id, who.user_id) if id}
            found |= {conversation_of(number, id): preference.value == STOP for id in ids}
    return found
