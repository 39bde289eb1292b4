"""Meta's refusals: the error a Graph API call ends with, and its JSON. Texts, statuses: Meta's table."""

import secrets
from typing import Any

# code: (title, HTTP status). Where Meta's table names no status, 400.
ERRORS: dict[int, tuple[str, int]] = {
    0: ("AuthException", 401),
    1: ("API Unknown", 400),
    2: ("API Service", 503),
    3: ("API Method", 500),
    4: ("API Too Many Calls", 400),
    10: ("Permission Denied", 403),
    33: ("Parameter value is not valid", 400),
    100: ("Invalid parameter", 400),
    190: ("Access token has expired or is invalid", 401),
    200: ("API Permission", 403),
    368: ("Temporarily blocked for policies violations", 403),
    2040: ("Order status cannot be sent", 400),
    2046: ("Invalid order status transition", 400),
    2047: ("Order cannot be canceled", 400),
    80007: ("Rate limit issues", 400),
    130429: ("Rate limit hit", 400),
    130472: ("User's number is part of an experiment", 400),
    130497: ("Business account is restricted from messaging users in this country", 403),
    130501: ("Message type is not supported for groups", 400),
    131000: ("Something went wrong", 500),
    131005: ("Access denied", 403),
    131008: ("Required parameter is missing", 400),
    131009: ("Parameter value is not valid", 400),
    131016: ("Service temporarily unavailable", 500),
    131021: ("Recipient cannot be sender", 400),
    131026: ("Message undeliverable", 400),
    131030: ("Recipient phone number not in allowed list", 400),
    131031: ("Business account has been locked", 403),
    131037: ("Display name is not approved", 400),
    131042: ("Business eligibility payment issue", 400),
    131045: ("Incorrect certificate", 500),
    131047: ("Re-engagement message", 400),
    131048: ("Spam rate limit hit", 400),
    131049: ("Meta chose not to deliver", 400),
    131050: ("User has stopped marketing messages", 400),
    131051: ("Unsupported message type", 400),
    131052: ("Media download error", 400),
    131053: ("Media upload error", 400),
    131055: ("Method is not allowed", 400),
    131056: ("(Business Account, Consumer Account) pair rate limit hit", 400),
    131057: ("Business account is in maintenance mode", 500),
    131062: ("Business-scoped user id is not supported for this message", 400),
    131063: ("Marketing templates are disabled", 400),
    131064: ("Messaging limit by template misclassification", 400),
    132000: ("Template parameter count mismatch", 400),
    132001: ("Template does not exist", 404),
    132005: ("Template hydrated text too long", 400),
    132007: ("Template format character policy violated", 400),
    132012: ("Template parameter format mismatch", 400),
    132015: ("Template is paused", 400),
    132016: ("Template is disabled", 400),
    132018: ("Template parameters are not valid", 400),
    132068: ("Flow is in blocked state", 400),
    132069: ("Flow is in throttled state", 400),
    133004: ("Server temporarily unavailable", 503),
    133010: ("Phone number not registered", 400),
    133016: ("Account register or deregister rate limit exceeded", 400),
    134011: ("WhatsApp Payments terms of service have not been accepted", 400),
    134100: ("Only marketing messages are supported", 400),
    134101: ("Template is syncing", 400),
    134102: ("Template is unavailable for use", 500),
    135000: ("Generic user error", 400),
    137000: ("Identity key hash mismatch", 400),
}


class GraphError(Exception):
    """A call refused, as Meta refuses it: `code` and `details` are what a caller may build on.

    `injected` marks a refusal that no rule led to, only a fault.
    """

    def __init__(
        self,
        code: int,
        details: str,
        *,
        subcode: int | None = None,
        message: str | None = None,
        injected: bool = False,
    ) -> None:
        super().__init__(details)
        title, self.http_status = ERRORS[code]
        self.code = code
        self.details = details
        self.subcode = subcode
        self.title = title
        self.message = message or f"(#{code}) {title}"
        self.injected = injected

    def document(self) -> dict[str, Any]:
        error: dict[str, Any] = {
            "message": self.message,
            "type": "OAuthException",
            "code": self.code,
            "error_data": {"messaging_product": "whatsapp", "details": self.details},
            "fbtrace_id": "A" + secrets.token_urlsafe(16),
        }
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        return {"error": error}

    def in_status(self) -> dict[str, Any]:
        """The same error inside a `failed` status."""
        return {
            "code": self.code,
            "title": self.title,
            "message": self.title,
            "error_data": {"details": self.details},
            "href": "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
        }
