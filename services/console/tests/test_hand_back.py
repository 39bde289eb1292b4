"""Handing a conversation back while the broker is away."""

import asyncio
from typing import Any

import pytest
from panier_common.kafka import Producer
from panier_common.web import Problem
from panier_console import api


class Waiting(Producer):
    """A producer whose broker went away after it had begun: it tries on without end."""

    async def get(self) -> Any:
        await asyncio.Event().wait()


@pytest.mark.parametrize("kind", [Producer, Waiting])
async def test_a_broker_that_is_away_is_answered_as_one(kind: type[Producer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("panier_common.kafka.PUBLISH_SECONDS", 1.0)
    with pytest.raises(Problem) as problem:
        await api._return_floor(kind("127.0.0.1:1", "test"), "10:FR.1", "key")
    assert (problem.value.status, problem.value.code) == (503, "no_broker")
