"""The services' internal APIs as the command line asks them. Standard library only: commands must start fast.

Every refusal of a service becomes `Refused` with the service's own code, words and hint.
"""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from panier_cli.data_folder import DataFolder, data_path
from panier_cli.errors import Refused
from panier_cli.stack.services import SERVICES

# Longer than a service lets a command wait for its result; an import tells of its progress more often.
SECONDS = 30.0
_LINES = "application/x-ndjson"
_AT_ONCE = 65_536
WITH_DATABASE = tuple(service.name for service in SERVICES if service.database)


def path(*parts: str) -> str:
    """A path under /internal; each part is one segment, whatever it holds."""
    return "/internal/" + "/".join(quote(part, safe="") for part in parts)


@dataclass(frozen=True)
class InternalApi:
    """Where each service's admin port is, and the token that opens all of them."""

    urls: Mapping[str, str]
    token: str
    where: str = "the running stack"
    seconds: float = SECONDS

    def get(self, service: str, where: str, **query: str | None) -> Any:
        """Look something up; query values of None are left out."""
        given = {name: value for name, value in query.items() if value is not None}
        return self.send(service, "GET", f"{where}?{urlencode(given)}" if given else where)

    def items(self, service: str, where: str, **query: str | None) -> Iterator[Any]:
        """The members of a list of any length, each as it arrives where the service tells them line by line."""
        given = {name: value for name, value in query.items() if value is not None}
        with self._answer(service, "GET", f"{where}?{urlencode(given)}", None, {"Accept": _LINES}) as answer:
            if answer.headers.get_content_type() != _LINES:
                yield from _json(service, answer.read())
                return
            for line in _lines_of(answer):
                yield _json(service, line)

    def send(
        self, service: str, method: str, where: str, document: Any = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        """Send a command, with a JSON document if there is one; the service's answer."""
        body = None if document is None else json.dumps(document, default=str).encode()
        sent = {"Content-Type": "application/json", **(headers or {})}
        with self._answer(service, method, where, body, sent) as answer:
            return _json(service, answer.read())

    def lines(self, service: str, where: str, body: bytes, content_type: str) -> Iterator[Any]:
        """Send a body and yield each line of the NDJSON that comes back as it arrives."""
        with self._answer(service, "POST", where, body, {"Content-Type": content_type}) as answer:
            for line in _lines_of(answer):
                yield _json(service, line)

    @contextmanager
    def _answer(
        self, service: str, method: str, where: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Iterator[http.client.HTTPResponse]:
        """An answer of 2xx; anything else, or none, is refused."""
        url = self._url(service)
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.netloc, timeout=self.seconds)
        try:
            connection.request(
                method, f"{parts.path}{where}", body, {"Authorization": f"Bearer {self.token}", **headers}
            )
            answer = connection.getresponse()
            if not 200 <= answer.status < 300:
                raise _refusal(service, answer.status, answer.read())
            yield answer
        except (OSError, http.client.HTTPException) as error:
            raise Refused(
                "unreachable",
                f"{service} does not answer at {url} ({type(error).__name__})",
                "`panier status` shows what runs",
            ) from error
        finally:
            connection.close()

    def _url(self, service: str) -> str:
        url = self.urls.get(service)
        if url is None:
            raise Refused(
                "not_running",
                f"{service} is not part of {self.where}",
                "start a stack by `make run`, name its folder by PANIER_DATA, "
                f"or set PANIER_{service.upper()}_ADMIN_URL",
            )
        return url.rstrip("/")


def internal_api(env: Mapping[str, str] = os.environ) -> InternalApi:
    """By PANIER_<SERVICE>_ADMIN_URL and PANIER_ADMIN_TOKEN, else those of the running stack of PANIER_DATA."""
    folder = DataFolder(data_path(env))
    state = folder.state() or {}
    urls = {row["name"]: row["processes"][0]["admin"] for row in state.get("services", []) if row["processes"]}
    for service in SERVICES:
        if url := env.get(service.setting("ADMIN_URL")):
            urls[service.name] = url
    where = f"the stack on {folder.path}" if state else f"a running stack: none runs on {folder.path}"
    return InternalApi(urls, _token(folder, env), where)


def _token(folder: DataFolder, env: Mapping[str, str]) -> str:
    if token := env.get("PANIER_ADMIN_TOKEN"):
        return token
    if file := env.get("PANIER_ADMIN_TOKEN_FILE"):
        try:
            return Path(file).read_text("utf-8").strip()
        except OSError as error:
            raise Refused("bad_setting", f"PANIER_ADMIN_TOKEN_FILE cannot be read: {error}") from error
    return folder.known_secret("PANIER_ADMIN_TOKEN") or ""


def _lines_of(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    """Each line as it arrives. Raises IncompleteRead for an answer cut anywhere.

    readline() does not: it looks ahead, forgets the error of that, and takes a cut between two chunks for the end.
    """
    rest = b""
    while some := answer.read1(_AT_ONCE):
        *lines, rest = (rest + some).split(b"\n")
        yield from lines
    if rest:
        yield rest


def _json(service: str, text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise Refused("bad_answer", f"{service} answered something that is no JSON") from None


def _refusal(service: str, status: int, body: bytes) -> Refused:
    """A service's problem+json as the command's own error."""
    try:
        problem = json.loads(body)
        return Refused(str(problem["code"]), str(problem["detail"]), str(problem.get("hint", "")))
    except (ValueError, LookupError, TypeError):
        return Refused("refused", f"{service} answered {status}", "its log says why")
