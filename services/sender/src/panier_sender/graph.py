"""Calls of the Graph API: HTTP/1.1 with kept connections, and what each answer says. Logs no content."""

import time

import aiohttp
import msgspec
from opentelemetry.trace import SpanKind, StatusCode
from panier_common import telemetry

from panier_sender import metrics
from panier_sender.errors import Class, Rule, classify

ACCEPTED = Rule(Class.ACCEPTED, "")
IN_DOUBT = Rule(Class.IN_DOUBT, "no_answer")
UNREACHED = Rule(Class.UNREACHED, "unreachable", 0.5)

_HEADERS = {"Content-Type": "application/json"}


class Answer(msgspec.Struct, frozen=True):
    """What came of a call. `code` is Meta's, 0 without one; `traceparent` that of the call's span."""

    rule: Rule
    wamid: str = ""
    code: int = 0
    traceparent: str | None = None


class _Message(msgspec.Struct):
    id: str = ""


class _Error(msgspec.Struct):
    code: int | None = None


class _Body(msgspec.Struct):
    messages: list[_Message] = []
    error: _Error | None = None


_DECODER = msgspec.json.Decoder(_Body)


class Graph:
    """The messages endpoint. `session` keeps the connections and belongs to whoever made it."""

    def __init__(self, session: aiohttp.ClientSession, url: str, version: str) -> None:
        self._session = session
        self._root = f"{url.rstrip('/')}/{version}"

    async def send(
        self, phone_number_id: str, token: str, body: bytes, seconds: float, traceparent: str | None
    ) -> Answer:
        """Send a message; `traceparent` is what asked for it. Never raises for what the network does."""
        if not (telemetry.tracing() and telemetry.is_sampled(traceparent)):
            rule, wamid, code, _ = await self._post(phone_number_id, token, body, seconds, {})
            return Answer(rule, wamid, code, traceparent)
        span = telemetry.start_span(
            "POST", SpanKind.CLIENT, traceparent, {"http.request.method": "POST", "url.template": "/messages"}
        )
        own = telemetry.traceparent_of(span)
        try:
            rule, wamid, code, status = await self._post(phone_number_id, token, body, seconds, {"traceparent": own})
            span.set_attribute("http.response.status_code", status)
            if rule.kind is not Class.ACCEPTED:
                span.set_attribute("error.type", str(code) if code else rule.kind.value)
                span.set_status(StatusCode.ERROR)
        finally:
            span.end()
        return Answer(rule, wamid, code, own)

    async def mark_read(self, phone_number_id: str, token: str, body: bytes, seconds: float) -> Rule:
        rule, *_ = await self._post(phone_number_id, token, body, seconds, {})
        return rule

    async def _post(
        self, number: str, token: str, body: bytes, seconds: float, headers: dict[str, str]
    ) -> tuple[Rule, str, int, int]:
        """(rule, wamid, code, HTTP status, 0 without an answer)."""
        started = time.monotonic()
        try:
            async with self._session.post(
                f"{self._root}/{number}/messages",
                data=body,
                headers={**_HEADERS, **headers, "Authorization": f"Bearer {token}"},
                # Half of the time for connecting: what fails there was certainly not sent.
                timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=seconds / 2),
                allow_redirects=False,
            ) as response:
                result = read_answer(response.status, await response.read())
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            result = UNREACHED, "", 0, 0
        except (aiohttp.ClientError, TimeoutError, OSError):
            result = IN_DOUBT, "", 0, 0
        metrics.CALL_SECONDS.record(time.monotonic() - started, {"class": result[0].kind.value})
        return result


def read_answer(status: int, body: bytes) -> tuple[Rule, str, int, int]:
    """What an answer says. A 200 that names no message is as good as none."""
    try:
        document = _DECODER.decode(body)
    except msgspec.DecodeError:
        document = _Body()
    if status == 200:
        wamid = document.messages[0].id if document.messages else ""
        return (ACCEPTED, wamid, 0, status) if wamid else (IN_DOUBT, "", 0, status)
    code = document.error.code if document.error is not None else None
    return classify(code, status), "", code or 0, status
