"""Calls of the Graph API: HTTP/1.1 with kept connections, and what each answer says. Logs no content."""

from collections.abc import Mapping
from urllib.parse import quote, urlsplit

import aiohttp
import msgspec
from opentelemetry.trace import SpanKind
from panier_common import conventions, telemetry
from panier_common.event import TRACEPARENT
from panier_common.spans import Shape

from panier_sender.errors import Class, Rule, classify

ACCEPTED = Rule(Class.ACCEPTED, "")
IN_DOUBT = Rule(Class.IN_DOUBT, "no_answer", "no answer")
UNREACHED = Rule(Class.UNREACHED, "unreachable", "no connection", 0.5)

UPLOAD_FAILED = Rule(Class.RETRY, "unavailable", "the file could not be uploaded yet", 1)

OK = 200
NO_CONNECTION, NO_ANSWER = 0, -1

JSON = {"Content-Type": "application/json"}


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


class _Uploaded(msgspec.Struct):
    id: str = ""
    error: _Error | None = None


class _Token(msgspec.Struct):
    is_valid: bool = False
    expires_at: int = 0
    data_access_expires_at: int = 0


class _Debugged(msgspec.Struct):
    data: _Token


_DECODER = msgspec.json.Decoder(_Body)
_DEBUGGED = msgspec.json.Decoder(_Debugged)
_UPLOADED = msgspec.json.Decoder(_Uploaded)


class Graph:
    """The messages endpoint. `session` keeps the connections and belongs to whoever made it."""

    def __init__(self, session: aiohttp.ClientSession, url: str, version: str) -> None:
        self._session = session
        self._root = f"{url.rstrip('/')}/{version}"
        attributes = {conventions.HTTP_METHOD: "POST", conventions.SERVER_ADDRESS: urlsplit(url).hostname or ""}
        self._call = Shape("POST", SpanKind.CLIENT, attributes)
        self._urls: dict[str, str] = {}

    async def send(
        self, phone_number_id: str, token: str, body: bytes, seconds: float, traceparent: str | None
    ) -> Answer:
        """Send a message; `traceparent` is what asked for it. Never raises for what the network does."""
        if telemetry.tracing() and telemetry.is_sampled(traceparent):
            return await self._traced(phone_number_id, token, body, seconds, traceparent)
        status, content = await self._post(phone_number_id, token, body, seconds)
        rule, wamid, code = read_answer(status, content)
        return Answer(rule, wamid, code, traceparent)

    async def upload(
        self, phone_number_id: str, token: str, mime_type: str, content: bytes, seconds: float
    ) -> tuple[Rule, str, int]:
        """(what the answer means, the upload's id, Meta's code). Twice does no harm: nothing is sent by it."""
        form = aiohttp.FormData({"messaging_product": "whatsapp", "type": mime_type})
        form.add_field("file", content, filename="file", content_type=mime_type)
        status, body = await self._ask(f"{self._root}/{quote(phone_number_id, safe='')}/media", form, token, seconds)
        if status in {NO_CONNECTION, NO_ANSWER}:
            return UNREACHED, "", 0
        try:
            document = _UPLOADED.decode(body)
        except msgspec.DecodeError:
            document = _Uploaded()
        if status == OK and document.id:
            return ACCEPTED, document.id, 0
        code = document.error.code if document.error is not None else None
        rule = classify(code, status)
        return (UPLOAD_FAILED if rule.kind is Class.IN_DOUBT else rule), "", code or 0

    async def token_end(self, token: str, seconds: float) -> float | None:
        """When this token, or its access to data, ends, in seconds since 1970; 0 for never, None if Meta did not say.

        One that is no longer good has ended at the beginning of time.
        """
        try:
            async with self._session.get(
                f"{self._root}/debug_token",
                params={"input_token": token},
                headers={"Authorization": f"Bearer {token}"},
                timeout=aiohttp.ClientTimeout(total=seconds),
                allow_redirects=False,
            ) as response:
                said = _DEBUGGED.decode(await response.read()).data if response.status == OK else None
        except (aiohttp.ClientError, TimeoutError, OSError, msgspec.DecodeError):
            return None
        if said is None:
            return None
        ends = [end for end in (said.expires_at, said.data_access_expires_at) if end]
        return min(ends, default=0.0) if said.is_valid else 1.0

    async def mark_read(self, phone_number_id: str, token: str, body: bytes, seconds: float) -> bool:
        """Whether Meta took it."""
        status, _ = await self._post(phone_number_id, token, body, seconds)
        return status == OK

    async def _traced(self, number: str, token: str, body: bytes, seconds: float, traceparent: str | None) -> Answer:
        span = telemetry.start_span(self._call, traceparent, {})
        own = telemetry.traceparent_of(span)
        try:
            status, content = await self._post(number, token, body, seconds, {TRACEPARENT: own})
            rule, wamid, code = read_answer(status, content)
            if status > 0:
                span.set_attribute(conventions.HTTP_STATUS, status)
            if rule.kind is not Class.ACCEPTED:
                span.set_attribute(conventions.ERROR_TYPE, str(code) if code else rule.kind.value)
                span.fail()
        finally:
            span.end()
        return Answer(rule, wamid, code, own)

    async def _post(
        self, number: str, token: str, body: bytes, seconds: float, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        url = self._urls.get(number)
        if url is None:
            url = self._urls[number] = f"{self._root}/{quote(number, safe='')}/messages"
        return await self._ask(url, body, token, seconds, {**JSON, **headers} if headers else JSON)

    async def _ask(
        self,
        url: str,
        data: bytes | aiohttp.FormData,
        token: str,
        seconds: float,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """(HTTP status, body), or one of `NO_CONNECTION` and `NO_ANSWER` in the place of a status."""
        try:
            async with self._session.post(
                url,
                data=data,
                headers={"Authorization": f"Bearer {token}", **(headers or {})},
                # Half of the time for connecting: what fails there was certainly not sent.
                timeout=aiohttp.ClientTimeout(total=seconds, connect=seconds / 2),
                allow_redirects=False,
            ) as response:
                return response.status, await response.read()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            return NO_CONNECTION, b""
        except (aiohttp.ClientError, TimeoutError, OSError):
            return NO_ANSWER, b""


def read_answer(status: int, body: bytes) -> tuple[Rule, str, int]:
    """(what it means, wamid, code). A 200 that names no message is as good as none."""
    if status == NO_CONNECTION:
        return UNREACHED, "", 0
    if status == NO_ANSWER:
        return IN_DOUBT, "", 0
    try:
        document = _DECODER.decode(body)
    except msgspec.DecodeError:
        document = _Body()
    if status == OK:
        wamid = document.messages[0].id if document.messages else ""
        return (ACCEPTED, wamid, 0) if wamid else (IN_DOUBT, "", 0)
    code = document.error.code if document.error is not None else None
    return classify(code, status), "", code or 0
