"""How commands fail: one exception with a code, a message and a hint, and the exit status it becomes."""

from __future__ import annotations

import json
import sys

DONE, FAILED, USAGE = 0, 1, 2


class Refused(Exception):  # noqa: N818 - an answer to a person, not a fault of the program
    """What was asked cannot be done. ``code`` is for programs, the message and ``hint`` are for people."""

    def __init__(self, code: str, message: str, hint: str = "", status: int = FAILED) -> None:
        super().__init__(message)
        self.code, self.hint, self.status = code, hint, status


def report(error: Refused, as_json: bool) -> int:
    """Say on standard error why a command failed, and answer with its exit status."""
    if as_json:
        document = {"error": {"code": error.code, "message": str(error), "hint": error.hint}}
        print(json.dumps(document, ensure_ascii=False), file=sys.stderr)
    else:
        print(f"panier: {error}", file=sys.stderr)
        if error.hint:
            print(f"        {error.hint}", file=sys.stderr)
    return error.status
