"""What stands in for the services' internal APIs in the tests of the commands: canned answers, noted requests."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "the-token"


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


Answer = Any | Callable[[Request], Any]
"""A document, `(status, document)`, bytes as they are, or what makes one of these out of the request."""


@dataclass
class FakeServices:
    """One server in place of all services; `answers` by method and path, anything else is 404."""

    url: str = ""
    answers: dict[tuple[str, str], Answer] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def on(self, method: str, path: str, answer: Answer) -> None:
        self.answers[method, path] = answer


def problem(code: str, detail: str = "it cannot be done", hint: str = "do something else") -> dict[str, Any]:
    return {"type": "about:blank", "title": code, "status": 0, "code": code, "detail": detail, "hint": hint}


@contextlib.contextmanager
def serving() -> Iterator[FakeServices]:
    fake = FakeServices()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, parts.path, query, headers, body)
            fake.requests.append(request)
            found = fake.answers.get((self.command, parts.path), (404, problem("not_found")))
            if headers.get("authorization") != f"Bearer {TOKEN}" and not parts.path.startswith("/api/"):
                found = (401, problem("unauthorized"))
            found = found(request) if callable(found) else found
            status, document = found if isinstance(found, tuple) else (200, found)
            content = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - as http.server looks them up

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
