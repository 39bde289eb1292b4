"""What Meta's answer to a call means for the message, its customer and its number. Pure rules.

Built on `error.code` alone, as Meta asks (HTTP status, title and subcode are not kept stable); the status
counts only where there is no code, or one that is not known yet. Source: the Cloud API's error codes (November
2025, additions of 2026).
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

WHAT_HAPPENS = {
    Class.RETRY: "tried again after 1, 4, 16, 64 s… for as long as it may be sent",
    Class.RETRY_FEW: "tried again five times, ever later, then given up",
    Class.SLOW_NUMBER: "the number waits, longer each time, and goes on more slowly; its queue is kept",
    Class.DELAY_CUSTOMER: "this customer waits 4^X s after the Xth refusal; the others go on",
    Class.PARK: "the number's queue is kept until there is another token; a person is told",
    Class.STOP_SHOP: "the number's queue is kept, one message tries every 10 minutes; a person is told",
    Class.WINDOW_CLOSED: "its template goes instead; without one it is given up",
    Class.GIVE_UP: "given up",
}


class Rule(msgspec.Struct, frozen=True):
    """What a code means: `reason` is what `MessageFailed` says, `delay_seconds` the least wait.

    With `person`, a message given up also becomes a dead letter: somebody of the shop can mend the cause and
    have it sent again.
    """

    kind: Class
    reason: str
    meaning: str = ""
    delay_seconds: float = 0.0
    person: bool = False


def _give_up(reason: str, meaning: str) -> Rule:
    return Rule(Class.GIVE_UP, reason, meaning)


def _mend(reason: str, meaning: str) -> Rule:
    return Rule(Class.GIVE_UP, reason, meaning, person=True)


def _few(reason: str, meaning: str, seconds: float = 1) -> Rule:
    return Rule(Class.RETRY_FEW, reason, meaning, seconds, person=True)


def _stop(reason: str, meaning: str) -> Rule:
    return Rule(Class.STOP_SHOP, reason, meaning, 600)


INVALID = "invalid"

RULES: dict[int, Rule] = {
    # limits
    4: Rule(Class.SLOW_NUMBER, "rate_limited", "the app's rate limit", 30),
    80007: Rule(Class.SLOW_NUMBER, "rate_limited", "the business account's rate limit", 30),
    130429: Rule(Class.SLOW_NUMBER, "rate_limited", "the number's throughput", 1),
    131057: Rule(Class.SLOW_NUMBER, "maintenance", "maintenance, or the number is being upgraded", 60),
    131056: Rule(Class.DELAY_CUSTOMER, "pair_limited", "too many messages to one customer", 1),
    131048: _mend("spam_limited", "the number was reported or blocked too often"),
    131049: _give_up("marketing_capped", "this customer got enough marketing"),
    # Meta's own trouble
    1: _few("unknown_error", "invalid request or server error"),
    131000: _few("unknown_error", "something went wrong"),
    2: Rule(Class.RETRY, "unavailable", "temporary, overloaded", 1),
    131016: Rule(Class.RETRY, "unavailable", "service unavailable", 1),
    133004: Rule(Class.RETRY, "unavailable", "server temporarily unavailable", 1),
    134101: _few("syncing", "the template is still being synchronised", 600),
    # the token: soon asked again, since Meta also says so in passing; then ever more rarely
    0: Rule(Class.PARK, "token", "the token was not accepted", 2),
    190: Rule(Class.PARK, "token", "the token has expired", 2),
    # the account or the number is stopped
    368: _stop("policy_block", "blocked for breaking a policy"),
    131031: _stop("account_locked", "the account is locked"),
    131042: _stop("billing", "a problem with billing"),
    131064: _stop("messaging_limit", "limited for misclassified templates"),
    133016: _stop("registration_limit", "registered too often"),
    131037: _stop("display_name", "the display name is not approved"),
    131045: _stop("registration", "the number's certificate is wrong"),
    133010: _stop("not_registered", "the number is not registered"),
    33: _stop("number_gone", "the number does not exist any more"),
    # the customer
    131047: Rule(Class.WINDOW_CLOSED, "window_closed", "more than 24 hours since the customer's last message"),
    131050: _give_up("stopped_marketing", "the customer stopped marketing"),
    131021: _give_up("recipient_is_sender", "recipient and sender are the same"),
    131026: _give_up("undeliverable", "not on WhatsApp, an old app, or terms not accepted"),
    131030: _mend("recipient_not_allowed", "a test number may not write to this recipient"),
    131062: _give_up("phone_number_needed", "this message needs a phone number, not a user id"),
    130472: _give_up("experiment", "the customer is part of an experiment of Meta's"),
    130497: _give_up("country", "not allowed in the customer's country"),
    135000: _give_up("recipient_error", "an error of this recipient, not told more exactly"),
    137000: _give_up("identity_changed", "the customer's identity key has changed"),
    # what may not be said, or not so
    3: _mend("permission", "the app lacks the capability"),
    10: _mend("permission", "the token lacks a permission"),
    131005: _mend("permission", "access denied"),
    131063: _mend("permission", "marketing templates are switched off for this number"),
    134011: _mend("payments_terms", "the payments terms were not accepted"),
    100: _mend(INVALID, "a parameter is invalid"),
    131008: _mend(INVALID, "a parameter is missing"),
    131009: _mend(INVALID, "a parameter's value is invalid"),
    131051: _mend(INVALID, "a kind of message that is not supported"),
    131052: _mend("media", "media could not be downloaded"),
    131053: _mend("media", "media could not be uploaded"),
    130501: _mend(INVALID, "a kind of message that groups do not take"),
    131055: _mend("marketing_api", "only by the Marketing Messages API"),
    134100: _mend("marketing_api", "only marketing templates go this way"),
    134102: _mend("marketing_api", "the template is unavailable"),
    132000: _mend("template", "the number of the template's parameters is wrong"),
    132001: _mend("template", "the template does not exist in this language"),
    132005: _mend("template", "the template with its parameters is too long"),
    132007: _mend("template", "the template breaks a policy"),
    132012: _mend("template", "a parameter of the template has the wrong format"),
    132015: _mend("template", "the template is paused"),
    132016: _mend("template", "the template is disabled"),
    132018: _mend("template", "the template's parameters are wrong"),
    132068: _mend("flow", "the flow is blocked"),
    132069: _mend("flow", "the flow is throttled"),
    2040: _mend("order_status", "the order's status cannot be told"),
    2046: _mend("order_status", "this status may not follow the last one"),
    2047: _mend("order_status", "the order cannot be cancelled"),
}
PERMISSIONS = range(200, 300)
PERMISSION = _mend("permission", "a permission is missing")
REFUSED = _mend("refused", "a code that is not known yet")
OURS = {
    "window_closed": "the 24 hours are over, and there is no template",
    "stopped": "the customer said stop",
    "stopped_marketing": "the customer stopped offers, which Meta told before, and this is a reminder by template",
    "too_old": "it could not be sent for a day",
    "in_doubt": "nobody knows whether it was sent, and it is not to be sent twice",
}
"""Why the sender itself gives up, without asking Meta."""

_THROTTLED = 429
_UNAUTHORIZED = 401


def classify(code: int | None, http_status: int) -> Rule:
    """The rule for an answer that is no 200. Without a code, a 5xx says nothing about what happened.

    A limit or a token concerns the number, whatever code comes with it: its messages are not burnt one by one.
    """
    if code is not None and code in RULES:
        return RULES[code]
    if code is not None and code in PERMISSIONS:
        return PERMISSION
    if http_status == _THROTTLED:
        return RULES[130429]
    if http_status == _UNAUTHORIZED:
        return RULES[190]
    if code is None and http_status >= 500:
        return Rule(Class.IN_DOUBT, "no_answer", "no answer that says anything")
    if code is None or http_status >= 500:
        return RULES[1]
    return REFUSED


def rule_of(code: int) -> Rule:
    """What a code means that came without a call: a message that Meta first accepted failed later."""
    return RULES.get(code) or (PERMISSION if code in PERMISSIONS else REFUSED)
