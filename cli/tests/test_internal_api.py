"""Answers that come line by line: whole, or refused; never a part of one taken for the whole."""

import socket
import threading
from collections.abc import Iterator

import pytest
from panier_cli.errors import Refused
from panier_cli.internal_api import InternalApi

from .conftest import Panier

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


def chunk(text: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(text), text)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def answering(listener: socket.socket, *parts: bytes) -> InternalApi:
    """A service that answers one request with these chunks as they are, and hangs up."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(HEAD + b"".join(parts))

    threading.Thread(target=serve, daemon=True).start()
    return InternalApi({"checkout": f"http://127.0.0.1:{listener.getsockname()[1]}"}, "the-token")


PAGES = (chunk(b'{"n":1}\n{"n":2}\n'), chunk(b'{"n":3}\n'))


def test_a_line_may_be_spread_over_chunks_and_the_last_may_lack_its_end(listener: socket.socket) -> None:
    api = answering(listener, PAGES[0], chunk(b'{"n"'), chunk(b":3}"), END)
    assert [one["n"] for one in api.items("checkout", "/internal/orders")] == [1, 2, 3]


@pytest.mark.parametrize("cut", [PAGES, (*PAGES, b'20\r\n{"n":')], ids=["between chunks", "in a chunk"])
def test_a_list_that_breaks_off_is_no_list(listener: socket.socket, cut: tuple[bytes, ...]) -> None:
    with pytest.raises(Refused, match="IncompleteRead") as refused:
        list(answering(listener, *cut).items("checkout", "/internal/orders"))
    assert (refused.value.code, refused.value.status) == ("unreachable", 1)


def test_progress_that_breaks_off_is_no_result(listener: socket.socket) -> None:
    with pytest.raises(Refused, match="IncompleteRead"):
        list(answering(listener, *PAGES).lines("checkout", "/internal/imports", b"", "text/csv"))


def test_orders_list_fails_when_checkout_breaks_off(
    listener: socket.socket, panier: Panier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PANIER_CHECKOUT_ADMIN_URL", answering(listener, *PAGES).urls["checkout"])
    done = panier("orders", "list", "--shop", "bakery", "--json")
    assert (done.exit, done.error["code"]) == (1, "unreachable")
