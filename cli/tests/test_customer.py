"""Who a customer is, out of what services know; whose a record is; and when the last copy is gone."""

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiokafka
import pytest
from aiokafka.errors import KafkaError
from panier_cli.commands.customer import last_copies
from panier_cli.customer import Found, own_rows, plain
from panier_cli.customer_records import is_theirs, keys_of, records_of
from panier_cli.errors import Refused
from panier_common.topics import COMMAND, DELIVERY, FLOOR, IDENTITY, PAYMENT, PERSONAL

from .conftest import Panier
from .fake_services import FakeServices, Request, problem

NUMBER, USER, PHONE = "10", "FR.1", "33600000001"
HERE = f"{NUMBER}:{USER}"
ROW = {"conversation": HERE, "user_id": USER, "wa_id": PHONE}
STRANGER = {"conversation": f"{NUMBER}:FR.9", "user_id": "FR.9", "wa_id": PHONE}
CUSTOMER = ("--number", NUMBER, "--customer")


def knows(services: FakeServices, *shown: dict[str, Any], linked: tuple[str, ...] = ()) -> None:
    """Every service shows the rows that have one of the ids it is asked for."""

    def known(request: Request) -> dict[str, Any]:
        ids = json.loads(request.body)["ids"]
        rows = [row for row in shown if row["user_id"] in ids or row["wa_id"] in ids]
        return {"linked": list(linked) if set(ids) & set(linked) else [], "shown": rows, "merged": []}

    services.on("POST", "/internal/customers/known", known)


def holds(services: FakeServices, *answers: dict[str, Any]) -> None:
    """What each service holds, look after look: the last answer stays."""
    left = [answer for answer in answers for _ in range(5)]
    services.on("POST", "/internal/customers/held", lambda _: left.pop(0) if len(left) > 1 else left[0])


def test_phone_numbers_are_digits_however_they_are_written() -> None:
    assert [plain(one) for one in ("+33 6 00-00", "336", "FR.1a")] == ["3360000", "336", "FR.1a"]


def test_a_phone_number_that_two_customers_had_is_nobodys() -> None:
    with pytest.raises(Refused, match="2 customers"):
        own_rows({PHONE}, [ROW, STRANGER])
    assert own_rows({PHONE, USER}, [ROW, STRANGER]) == [ROW]
    assert own_rows({PHONE}, [ROW]) == [ROW]


def test_an_export_names_every_id_and_is_written_for_its_owner_alone(
    panier: Panier, services: FakeServices, tmp_path: Path
) -> None:
    knows(services, ROW, linked=(USER, "33600000002"))
    holds(services, {"cart": [{"note": "bien cuits"}]})
    file = tmp_path / "customer.json"
    done = panier("customer", "export", *CUSTOMER, USER, "--no-topics", "--file", str(file), "--json")
    assert done.exit == 0, done.err
    assert done.document["customer"]["ids"] == sorted([USER, PHONE, "33600000002"])
    assert done.document["customer"]["conversations"] == [HERE, f"{NUMBER}:33600000002"]
    assert done.document["services"]["cart"] == {"cart": [{"note": "bien cuits"}]}
    assert json.loads(file.read_text()) == done.document
    assert file.stat().st_mode & 0o777 == 0o600


def test_an_export_without_its_broker_says_how_to_do_without(
    panier: Panier, services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    knows(services, ROW)
    holds(services, {})
    monkeypatch.setenv("PANIER_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    done = panier("customer", "export", *CUSTOMER, USER, "--json")
    assert (done.exit, done.error["code"]) == (1, "no_broker")
    assert "--no-topics" in done.error["hint"]


class Reader:
    """A consumer that got `comes` of 5 records, slowly, and then nothing more; or was not even told of topics."""

    def __init__(self, comes: int, tells: bool = True) -> None:
        self._client, self._comes, self._tells, self._at = self, comes, tells, 0

    def __call__(self, **_: Any) -> "Reader":
        return self

    def add_topic(self, _: str) -> None: ...

    async def force_metadata_update(self) -> bool:
        return self._tells

    def partitions_for_topic(self, _: str) -> set[int]:
        return {0} if self._tells else set()

    def assign(self, partitions: list[Any]) -> None:
        self._at = 0

    async def beginning_offsets(self, partitions: list[Any]) -> dict[Any, int]:
        return dict.fromkeys(partitions, 0)

    async def end_offsets(self, partitions: list[Any]) -> dict[Any, int]:
        return dict.fromkeys(partitions, 5)

    async def position(self, _: Any) -> int:
        return self._at

    async def getmany(self, *_: Any, timeout_ms: int) -> dict[Any, list[Any]]:
        await asyncio.sleep(0.04)
        self._at = min(self._at + 1, self._comes)
        return {}

    async def start(self, *_: Any) -> None: ...

    seek_to_beginning = stop = start


async def test_a_broker_that_falls_silent_is_waited_for_as_long_as_nothing_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("panier_cli.customer_records.STILL_SECONDS", 1.0)
    seen: list[int] = []

    def read() -> Any:
        return records_of("", Found(NUMBER, {USER}, [HERE]), ["o"], lambda _, done, total: seen.append(done))

    monkeypatch.setattr(aiokafka, "AIOKafkaConsumer", Reader(5))
    began = time.monotonic()
    assert await read() == {}
    assert time.monotonic() - began > 1.0, "slow is not silent"
    monkeypatch.setattr(aiokafka, "AIOKafkaConsumer", Reader(4))
    with pytest.raises(TimeoutError):
        await read()
    assert seen[-1] == 4
    monkeypatch.setattr(aiokafka, "AIOKafkaConsumer", Reader(0, tells=False))
    with pytest.raises(KafkaError):
        await read()


def test_somebody_elses_former_phone_number_is_not_asked_for(panier: Panier, services: FakeServices) -> None:
    knows(services, ROW, STRANGER)
    holds(services, {})
    done = panier("customer", "export", *CUSTOMER, USER, "--no-topics", "--json")
    assert done.document["customer"] == {"phone_number_id": NUMBER, "ids": [USER], "conversations": [HERE]}
    refused = panier("customer", "export", *CUSTOMER, PHONE, "--no-topics", "--json")
    assert (refused.exit, refused.error["code"]) == (1, "ambiguous_customer")


def test_an_erasure_waits_until_nothing_is_held(panier: Panier, services: FakeServices) -> None:
    knows(services, ROW)
    holds(services, {"cart": [{}, {}]}, {"cart": [{}]}, {})
    services.on("POST", "/internal/customers/erase", {})
    done = panier("customer", "erase", *CUSTOMER, USER, "--json")
    assert done.exit == 0, done.err
    assert done.document["erased"]["cart"] == {"cart": 2}
    asked = [json.loads(r.body) for r in services.requests if r.path.endswith("/erase")]
    assert asked[0]["conversations"][0] == HERE
    assert asked[0]["ids"] == sorted([USER, PHONE])
    assert done.document["gone_at"] == max(copy["gone_at"] for copy in done.document["copies"])
    assert "gone on" in panier("customer", "erase", *CUSTOMER, USER).out


def test_orders_under_way_are_named(panier: Panier, services: FakeServices) -> None:
    knows(services, ROW)
    holds(services, {})
    services.on("POST", "/internal/customers/erase", (409, problem("orders_under_way", "order K7-204 is paid")))
    done = panier("customer", "erase", *CUSTOMER, USER, "--json")
    assert (done.exit, done.error["code"], done.error["message"]) == (1, "orders_under_way", "order K7-204 is paid")


def test_a_record_is_a_customers_by_its_key_or_by_what_it_says() -> None:
    found, orders = Found(NUMBER, {USER, PHONE}, [HERE]), frozenset({"order-1"})

    def theirs(topic: Any, key: str, value: bytes = b"") -> bool:
        return is_theirs(topic, found, keys_of(topic, found, orders), key, value)

    assert theirs(COMMAND, HERE)
    assert not theirs(COMMAND, f"{NUMBER}:FR.11", b'"FR.1"')
    assert theirs(FLOOR, HERE)
    assert theirs(PAYMENT, "order-1")
    assert not theirs(PAYMENT, "order-2")
    assert theirs(DELIVERY, NUMBER, b'{"recipient_wa_id":"33600000001"}')
    assert not theirs(DELIVERY, NUMBER, b'{"recipient_wa_id":"336000000012"}')
    assert theirs(IDENTITY, f"{NUMBER}:{PHONE}~FR.1")
    assert not theirs(IDENTITY, f"20:{PHONE}~FR.11")


def test_the_last_copy_is_the_longest_kept_one() -> None:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    copies = dict(last_copies(now, 15))
    assert copies["backups"] == now + timedelta(days=15)
    longest = max(topic.retention_ms for topic in PERSONAL if topic.cleanup == "delete")
    on_topics = copies["records on topics, and which messages were sent"]
    assert on_topics > now + timedelta(milliseconds=longest, days=1), "a segment stays open for a day"
