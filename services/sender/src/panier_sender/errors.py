"""What Meta's answer to a call means for the message, its customer and its number. Pure rules.

Built on `error.code` alone, as Meta asks (HTTP status, title and subcode are not kept stable); the status
counts only where there is no code. Source: the Cloud API's error codes (November 2025, additions of 2026).
"""

from enum import Enum

import msgspec


class Class(Enum):
    """What to do next; the values are labels of metrics."""

    ACCEPTED = "accepted"
    RETRY = "retry"  # Meta's trouble, whole and passing: try this message again for as long as it may be sent
    RETRY_FEW = "retry_few"  # may be the message's own fault: try a few times
    SLOW_NUMBER = "slow_number"  # a limit of the number or the account: all of its messages wait
    DELAY_CUSTOMER = "delay_customer"  # the limit of one customer: the others go on
    PARK = "park"  # no valid token: the number's queue is kept until there is a new one
    STOP_SHOP = "stop_shop"  # Meta stopped the account or the number: the queue is kept, a person must act
    WINDOW_CLOSED = "window_closed"  # more than 24 hours since the customer's last message
    GIVE_UP = "give_up"
    IN_DOUBT = "in_doubt"  # nobody knows whether it was sent
    UNREACHED = "unreached"  # it was certainly not sent: no connection
    UNCALLED = "uncalled"  # the claim ran out before the call began


HOLDING = frozenset({Class.SLOW_NUMBER, Class.PARK, Class.STOP_SHOP, Class.UNREACHED})
"""Classes after which the whole number waits; the message itself was not sent and keeps its place."""


class Rule(msgspec.Struct, frozen=True):
    """What a code means: `reason` is what `MessageFailed` says, `delay_seconds` the least wait."""

    kind: Class
    reason: str
    delay_seconds: float = 0.0


def _give_up(reason: str) -> Rule:
    return Rule(Class.GIVE_UP, reason)


RULES: dict[int, Rule] = {
    # limits
    4: Rule(Class.SLOW_NUMBER, "rate_limited", 30),
    80007: Rule(Class.SLOW_NUMBER, "rate_limited", 30),
    130429: Rule(Class.SLOW_NUMBER, "rate_limited", 1),
    131057: Rule(Class.SLOW_NUMBER, "maintenance", 60),
    131056: Rule(Class.DELAY_CUSTOMER, "pair_limited", 1),
    131048: _give_up("spam_limited"),
    131049: _give_up("marketing_capped"),
    # Meta's own trouble
    1: Rule(Class.RETRY_FEW, "unknown_error", 1),
    131000: Rule(Class.RETRY_FEW, "unknown_error", 1),
    2: Rule(Class.RETRY, "unavailable", 1),
    131016: Rule(Class.RETRY, "unavailable", 1),
    133004: Rule(Class.RETRY, "unavailable", 1),
    134101: Rule(Class.RETRY_FEW, "syncing", 600),
    # the token: soon asked again, since Meta also says so in passing; then ever more rarely
    0: Rule(Class.PARK, "token", 2),
    190: Rule(Class.PARK, "token", 2),
    # the account or the number is stopped
    368: Rule(Class.STOP_SHOP, "policy_block", 600),
    131031: Rule(Class.STOP_SHOP, "account_locked", 600),
    131042: Rule(Class.STOP_SHOP, "billing", 600),
    131064: Rule(Class.STOP_SHOP, "messaging_limit", 600),
    133016: Rule(Class.STOP_SHOP, "registration_limit", 600),
    131037: Rule(Class.STOP_SHOP, "display_name", 600),
    131045: Rule(Class.STOP_SHOP, "registration", 600),
    133010: Rule(Class.STOP_SHOP, "not_registered", 600),
    33: Rule(Class.STOP_SHOP, "number_gone", 600),
    # the customer
    131047: Rule(Class.WINDOW_CLOSED, "window_closed"),
    131050: _give_up("stopped_marketing"),
    131021: _give_up("recipient_is_sender"),
    131026: _give_up("undeliverable"),
    131030: _give_up("recipient_not_allowed"),
    131062: _give_up("phone_number_needed"),
    130472: _give_up("experiment"),
    130497: _give_up("country"),
    135000: _give_up("recipient_error"),
    137000: _give_up("identity_changed"),
    # what may not be said, or not so
    3: _give_up("permission"),
    10: _give_up("permission"),
    131005: _give_up("permission"),
    131063: _give_up("permission"),
    134011: _give_up("payments_terms"),
    100: _give_up("invalid"),
    131008: _give_up("invalid"),
    131009: _give_up("invalid"),
    131051: _give_up("invalid"),
    131052: _give_up("media"),
    131053: _give_up("media"),
    130501: _give_up("invalid"),
    131055: _give_up("marketing_api"),
    134100: _give_up("marketing_api"),
    134102: _give_up("marketing_api"),
    132000: _give_up("template"),
    132001: _give_up("template"),
    132005: _give_up("template"),
    132007: _give_up("template"),
    132012: _give_up("template"),
    132015: _give_up("template"),
    132016: _give_up("template"),
    132018: _give_up("template"),
    132068: _give_up("flow"),
    132069: _give_up("flow"),
    2040: _give_up("order_status"),
    2046: _give_up("order_status"),
    2047: _give_up("order_status"),
}

_THROTTLED = 429
_UNAUTHORIZED = 401


def classify(code: int | None, http_status: int) -> Rule:
    """The rule for an answer that is no 200. Without a code, a 5xx says nothing about what happened."""
    if code is not None and code in RULES:
        return RULES[code]
    if code is not None and 200 <= code <= 299:
        return _give_up("permission")
    if code is None and http_status == _THROTTLED:
        return RULES[130429]
    if code is None and http_status == _UNAUTHORIZED:
        return RULES[190]
    if code is None and http_status >= 500:
        return Rule(Class.IN_DOUBT, "no_answer")
    if code is None or http_status >= 500:
        return RULES[1]
    return _give_up("refused")


def reason_of(code: int) -> str:
    """Why a message that Meta first accepted failed later (a status `failed`)."""
    rule = RULES.get(code)
    return rule.reason if rule else "refused"
