"""What a business number may do at this moment, and what stands against a customer. Pure.

The state is changed through the simulator's own API, as Meta changes it on its side.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from panier_simulator.errors import ERRORS, GraphError

Json = dict[str, Any]
HIGH_THROUGHPUT = 1000
MARKETING_ONLY = frozenset({130472, 131049, 131050, 131063})  # these stand only against marketing templates


def _known(code: int | None) -> int | None:
    if code is not None and code not in ERRORS:
        raise ValueError(f"{code} is not among the codes that the simulator knows")
    return code


class NumberState(BaseModel):
    """`trouble` is the code that every message of the number is refused with (account locked, token expired…)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    messages_per_second: int | None = Field(None, ge=0, le=1000, description="None: as the setting says; 0: no limit")
    quality: Literal["GREEN", "YELLOW", "RED"] = "GREEN"
    registered: bool = True
    trouble: int | None = None
    token_expires_at: int = Field(0, ge=0, description="Seconds since 1970, told by debug_token; 0: never")
    maintenance_until: float = Field(0.0, description="Seconds since 1970; 131057 until then")
    allowed: list[str] | None = Field(None, description="A test number: the only phone numbers it may write to")
    blocked_countries: list[str] = Field([], description="Country codes without +, to which it may not write")

    _code_is_known = field_validator("trouble")(_known)


class CustomerState(BaseModel):
    """`trouble` is what messages to this customer end with: at once, or `by_status` after they were accepted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trouble: int | None = None
    by_status: bool = False
    identity_key_hash: str | None = Field(None, description="137000 for a message that names another")

    _code_is_known = field_validator("trouble")(_known)


def check_number(state: NumberState, now: float) -> None:
    """Raises what the number's own state stands for."""
    if state.trouble == 33:
        raise GraphError(100, "The phone number was deleted", subcode=33)
    if state.trouble in (0, 190):
        raise GraphError(state.trouble, "The access token has expired", message="Invalid OAuth access token.")
    if state.trouble is not None:
        raise GraphError(state.trouble, ERRORS[state.trouble][0])
    if not state.registered:
        raise GraphError(133010, "Account not registered: register the phone number first")
    if now < state.maintenance_until:
        raise GraphError(131057, "The number is being upgraded; try again later")


def check_recipient(state: NumberState, wa_id: str | None) -> None:
    """Raises what keeps this number from that phone number."""
    if state.allowed is not None and wa_id not in state.allowed:
        raise GraphError(131030, "Recipient phone number not in allowed list: add it to the list of the test number")
    if wa_id and any(wa_id.startswith(code) for code in state.blocked_countries):
        raise GraphError(130497, "Business account is restricted from messaging users in this country")


def customer_error(state: CustomerState, body: Json, category: str | None) -> GraphError | None:
    """What stands against this message to that customer."""
    expected, given = state.identity_key_hash, body.get("recipient_identity_key_hash")
    if expected is not None and given is not None and given != expected:
        return GraphError(137000, "The identity key hash does not match the customer's present one")
    if state.trouble is None or (state.trouble in MARKETING_ONLY and category != "MARKETING"):
        return None
    return GraphError(state.trouble, ERRORS[state.trouble][0])


def quality_updates(display: str, before: NumberState, after: NumberState, default: int) -> list[Json]:
    """The values of `phone_number_quality_update` that tell a change, if there is anything to tell."""
    limits = [default if state.messages_per_second is None else state.messages_per_second for state in (before, after)]
    events = []
    if limits[1] != limits[0]:
        # 0 is no limit, which is more than any.
        higher = limits[0] != 0 and (limits[1] == 0 or limits[1] > limits[0])
        events.append("THROUGHPUT_UPGRADE" if higher else "DOWNGRADE")
    if after.quality != before.quality and "RED" in (before.quality, after.quality):
        events.append("FLAGGED" if after.quality == "RED" else "UNFLAGGED")
    tier = "TIER_UNLIMITED" if limits[1] >= HIGH_THROUGHPUT or limits[1] == 0 else "TIER_2K"
    value = {"display_phone_number": display, "current_limit": tier, "max_daily_conversations_per_business": tier}
    return [{"event": event, **value} for event in events]


def account_updates(before: NumberState, after: NumberState) -> list[Json]:
    """The values of `account_update` for an account that was locked, restricted or let go again."""
    if before.trouble == after.trouble:
        return []
    match after.trouble, before.trouble:
        case (131031, _):
            return [{"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": "DISABLE"}}]
        case (368, _):
            return [{"event": "ACCOUNT_VIOLATION", "violation_info": {"violation_type": "SPAM"}}]
        case (131048, _):
            info = [{"restriction_type": "RESTRICTED_BIZ_INITIATED_MESSAGING"}]
            return [{"event": "ACCOUNT_RESTRICTION", "restriction_info": info}]
        case (None, 131031):
            return [{"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": "REINSTATE"}}]
        case _:
            return []
