"""Until when tokens are good: what Meta says of each number, and what becomes of one that it does not answer about."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from panier_common.contracts.events import Number, ShopConfigured
from panier_common.shops import ShopDirectory
from panier_sender.expiry import EVERY_SECONDS, Expiry
from panier_sender.graph import Graph
from panier_sender.tokens import Tokens

NUMBERS = (Number("1", "+33", "TEST_TOKEN_A"), Number("2", "+33", "TEST_TOKEN_B"))
SHOP = ShopConfigured(
    "bakery", 1, "Bakery", ("fr",), "EUR", "Europe/Paris", "1", NUMBERS, True, None, "simulated", 1800
)


@dataclass
class Meta:
    """`said` by token; a token that is not there is not answered about. `asked` is how often each was asked about."""

    said: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    expiry: Expiry | None = None

    async def answer(self, request: web.Request) -> web.Response:
        token = request.query["input_token"]
        assert request.headers["authorization"] == f"Bearer {token}"
        self.asked[token] += 1
        said = self.said.get(token)
        return web.json_response({"data": said}) if said is not None else web.json_response({"error": {}}, status=400)


@pytest_asyncio.fixture
async def meta(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Meta]:
    monkeypatch.setenv("TEST_TOKEN_A", "secret-a")
    monkeypatch.setenv("TEST_TOKEN_B", "secret-b")
    meta, app = Meta(), web.Application()
    app.router.add_get("/v26.0/debug_token", meta.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    shops = ShopDirectory("127.0.0.1:1")
    shops.by_number = {"1": SHOP, "2": SHOP}
    async with aiohttp.ClientSession() as session:
        graph = Graph(session, f"http://{host}:{port}", "v26.0")
        meta.expiry = Expiry(graph, Tokens(shops.by_number), shops)
        yield meta
    await runner.cleanup()


def good(expires_at: int = 0, data_access_expires_at: int = 0) -> dict[str, Any]:
    return {"is_valid": True, "expires_at": expires_at, "data_access_expires_at": data_access_expires_at}


async def test_the_nearer_of_both_ends_counts_and_none_for_a_token_without_end(meta: Meta) -> None:
    assert meta.expiry is not None
    meta.said = {"secret-a": good(1_900_000_000, 1_800_000_000), "secret-b": good()}
    await meta.expiry.ask(lambda: 5.0)
    assert meta.expiry.ends == {"1": 1_800_000_000}
    meta.said["secret-a"] = good()  # a new one, for good
    await meta.expiry.ask(lambda: 5.0 + EVERY_SECONDS)
    assert meta.expiry.ends == {}


async def test_one_that_is_no_longer_good_has_ended(meta: Meta) -> None:
    assert meta.expiry is not None
    meta.said = {"secret-a": {"is_valid": False, "expires_at": 0}, "secret-b": good()}
    await meta.expiry.ask()
    assert meta.expiry.ends == {"1": 1.0}


async def test_without_an_answer_the_last_one_stands_and_is_asked_for_again(
    meta: Meta, capsys: pytest.CaptureFixture[str]
) -> None:
    assert meta.expiry is not None
    meta.said = {"secret-a": good(1_900_000_000), "secret-b": good()}
    await meta.expiry.ask(lambda: 5.0)
    del meta.said["secret-a"]
    await meta.expiry.ask(lambda: 5.0 + EVERY_SECONDS)
    assert (meta.expiry.ends, meta.expiry.checked_at["1"]) == ({"1": 1_900_000_000}, 5.0)
    said = capsys.readouterr()
    assert "does not say" in said.out
    assert "secret-" not in said.out + said.err


async def test_one_that_meta_does_not_answer_about_is_asked_for_each_minute_the_others_each_hour(meta: Meta) -> None:
    assert meta.expiry is not None
    meta.said = {"secret-a": good()}
    for minute in range(60):
        await meta.expiry.ask(lambda minute=minute: minute * 60.0)
    assert meta.asked == {"secret-a": 1, "secret-b": 60}
    await meta.expiry.ask(lambda: 3600.0)
    assert meta.asked == {"secret-a": 2, "secret-b": 61}
    meta.said["secret-b"] = good()
    for second in (3660.0, 3720.0):
        await meta.expiry.ask(lambda second=second: second)
    assert meta.asked == {"secret-a": 2, "secret-b": 62}


async def test_of_each_number_it_is_told_when_meta_last_answered(meta: Meta, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is never answered about hides nothing of the others, and is told of from when it was first known."""
    assert meta.expiry is not None
    monkeypatch.delenv("TEST_TOKEN_B")
    meta.said = {"secret-a": good()}
    for at in (1000.0, 4600.0):
        await meta.expiry.ask(lambda at=at: at)
    assert meta.expiry.checked_at == {"1": 4600.0, "2": 1000.0}
    meta.expiry._shops.by_number.pop("2")
    await meta.expiry.ask(lambda: 8200.0)
    assert meta.expiry.checked_at == {"1": 8200.0}


async def test_a_fault_with_one_token_is_outlived_and_told_without_it(
    meta: Meta, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert meta.expiry is not None
    ask = meta.expiry._graph.token_end

    async def fail_for_first(token: str, seconds: float) -> float | None:
        if token == "secret-a":
            raise ValueError(token)
        return await ask(token, seconds)

    monkeypatch.setattr(meta.expiry._graph, "token_end", fail_for_first)
    meta.said = {"secret-b": good(1_900_000_000)}
    await meta.expiry.ask()
    assert meta.expiry.ends == {"2": 1_900_000_000}
    said = capsys.readouterr()
    assert "ValueError" in said.out
    assert "secret-" not in said.out + said.err
