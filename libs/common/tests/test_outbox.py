"""The outbox's rows: one for all that a transaction publishes from a home, and the same records come out of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from hypothesis import given
from hypothesis import strategies as st
from panier_common import outbox, telemetry
from panier_common.kafka import Outgoing
from panier_common.postgres import Pool, migrations

HEADERS = {"ce_id": "6f1d5f0e", "panier_seq": "tally/3/1"}
values = st.none() | st.text().map(lambda text: outbox._ENCODER.encode({"text": text}))
texts = st.text(st.characters(exclude_categories=["Cs"]))


def record(n: int, key: str = "key", value: bytes | None = b'{"a": 1}') -> Outgoing:
    return Outgoing(3, n, "panier.cart.v1", key, HEADERS, value)


def parts(records: list[Outgoing]) -> list[tuple[object, ...]]:
    return [(r.home, r.n, r.topic, r.key, r.headers, r.value) for r in records]


@given(st.lists(st.tuples(texts, values), min_size=1, max_size=60))
def test_records_come_out_of_a_row_as_they_went_in(sent: list[tuple[str, bytes | None]]) -> None:
    records = [record(n, key, value) for n, (key, value) in enumerate(sent, 1)]
    assert parts(outbox.unpack(3, outbox.pack(records))) == parts(records)


def test_a_long_row_is_stored_short_and_a_short_one_readable() -> None:
    assert outbox.pack([record(1)]).startswith(b'[[1,"panier.cart.v1","key",')
    long = [record(n, value=b'"%d"' % n) for n in range(500)]
    assert len(outbox.pack(long)) < sum(len(r.value or b"") for r in long) * 5
    assert parts(outbox.unpack(3, outbox.pack(long))) == parts(long)


class Writer:
    """A producer whose broker takes what goes to one topic only; and first there is none."""

    def __init__(self, takes: str) -> None:
        self._takes = takes
        self.tries = 0

    async def get(self) -> object:
        self.tries += 1
        if self.tries == 1:
            raise KafkaConnectionError("no broker answers")
        return self

    async def throw_away(self, failed: object) -> None: ...

    async def partitions(self, topic: str) -> int:
        return 12

    async def send_in_order(self, topic: str, partition: int, records: Sequence[Outgoing]) -> None:
        if topic != self._takes and self.tries < 4:
            raise KafkaConnectionError("no broker answers")


async def test_only_what_the_broker_took_counts_as_published(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: Counter[str] = Counter()

    class Published:
        def add(self, many: int, labels: Mapping[str, str]) -> None:
            counted[labels["topic"]] += many

    monkeypatch.setattr(telemetry, "PUBLISHED", Published())
    monkeypatch.setattr(outbox, "RETRY_SECONDS", (0.0,))
    writer: Any = Writer("panier.cart.v1")
    other = [Outgoing(3, n, "panier.outbound.v1", "key", HEADERS, b"{}") for n in (3, 4)]
    await outbox.Publisher("tally", writer).publish([record(1), record(2), *other])
    assert counted == {"panier.cart.v1": 2, "panier.outbound.v1": 2}
    assert writer.tries == 4


async def test_of_a_row_published_in_part_only_the_rest_is_left(pool: Pool, name: str) -> None:
    async with pool.acquire() as db:
        await outbox.insert(db, name, [record(n) for n in range(1, 6)])
        await outbox.insert(db, name, [record(n) for n in range(6, 8)])
        assert [r.n for r in await outbox.load(db, name, {3: 0})] == [1, 2, 3, 4, 5, 6, 7]
        assert [r.n for r in await outbox.load(db, name, {3: 4})] == [5, 6, 7]
        assert await outbox.load(db, name, {3: 7}) == []


async def test_rows_from_before_become_rows_of_today(pool: Pool, name: str) -> None:
    """What an older version left unpublished is published by this one, byte for byte."""
    change = dict(migrations("panier_common"))["panier_common/0002_outbox_row_per_batch.sql"]
    async with pool.acquire() as db:
        await db.execute(
            "DROP TABLE outbox; CREATE TABLE outbox (loop text, home integer, n bigint, topic text, key text, "
            "headers bytea, value bytea, at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (loop, home, n))"
        )
        for n, value in ((1, '{"text": "é \\u0000 \\" 100 % 🥐"}'.encode()), (2, None)):
            headers = b'{"ce_id":"6f1d5f0e","panier_seq":"tally/3/1"}'
            await db.execute(
                "INSERT INTO outbox VALUES ($1, 3, $2, 'panier.cart.v1', $3, $4, $5)", name, n, 'k"é', headers, value
            )
        async with db.transaction():
            await db.execute(change)
        left = await outbox.load(db, name, {3: 0})
        assert parts(left) == parts(
            [record(1, 'k"é', '{"text": "é \\u0000 \\" 100 % 🥐"}'.encode()), record(2, 'k"é', None)]
        )
