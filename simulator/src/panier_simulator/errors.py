"""Meta's refusals: the error a Graph API call ends with, and its JSON. Texts, statuses: Meta's table."""

import secrets
from typing import Any

# code: (title, HTTP status)
ERRORS: dict[int, tuple[str, int]] = {
    100: ("Invalid parameter", 400),
    190: ("Access token has expired or is invalid", 401),
    130429: ("Rate limit hit", 400),
    130501: ("Message type is not supported for groups", 400),
    131008: ("Required parameter is missing", 400),
    131009: ("Parameter value is not valid", 400),
    131016: ("Service temporarily unavailable", 500),
    131021: ("Recipient cannot be sender", 400),
    131026: ("Message undeliverable", 400),
    131047: ("Re-engagement message", 400),
    131053: ("Media upload error", 400),
    131056: ("(Business Account, Consumer Account) pair rate limit hit", 400),
}


class GraphError(Exception):
    """A call refused, as Meta refuses it: `code` and `details` are what a caller may build on."""

    def __init__(self, code: int, details: str, *, subcode: int | None = None, message: str | None = None) -> None:
        super().__init__(details)
        title, self.http_status = ERRORS[code]
        self.code = code
        self.details = details
        self.subcode = subcode
        self.title = title
        self.message = message or f"(#{code}) {title}"

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
