"""`panier topics apply` on a real broker: settings of topics that are there become the table's, and no others."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from panier_common.kafka import MAX_RECORD_BYTES, apply_topics
from panier_common.topic_settings import Changed, alter, differing
from panier_common.topics import Topic

from .conftest import Panier

OLDER = Topic("panier.older.v1", "conversation", (), (), ())
NAMED = "panier.account.v1"


@pytest_asyncio.fixture
async def admin(kafka: str) -> AsyncIterator[AIOKafkaAdminClient]:
    await apply_topics(kafka)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    yield admin
    await admin.close()


async def test_an_older_topic_gets_the_tables_settings_and_keeps_the_rest(
    kafka: str, admin: AIOKafkaAdminClient
) -> None:
    made = {"retention.ms": "1000", "max.message.bytes": "1048588", "compression.type": "gzip"}
    await admin.create_topics([NewTopic(OLDER.name, 3, 1, topic_configs=made)])
    async with asyncio.timeout(20):
        while OLDER.name not in await admin.list_topics():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    changes = {
        "retention.ms": Changed("1000", "604800000"),
        "segment.ms": Changed("604800000", "86400000"),
        "max.message.bytes": Changed("1048588", str(MAX_RECORD_BYTES)),
    }
    would = await apply_topics(kafka, topics=[OLDER], dry_run=True)
    assert (would.made, would.changed) == ([], {OLDER.name: changes})
    assert await apply_topics(kafka, topics=[OLDER]) == would
    async with asyncio.timeout(20):  # the broker shows what the controller has taken a moment later
        while (await apply_topics(kafka, topics=[OLDER], dry_run=True)).changed:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    kept = {"compression.type": "gzip", **{name: changed.now for name, changed in changes.items()}}
    assert await differing(admin, {OLDER.name: kept}) == ({}, [])
    [topic] = await admin.describe_topics([OLDER.name])
    assert len(topic["partitions"]) == 3
    await admin.delete_topics([OLDER.name])


async def test_a_new_topic_has_as_many_partitions_as_the_others(kafka: str, admin: AIOKafkaAdminClient) -> None:
    """A service of a later version reads the new topic beside the old ones, home by home."""
    new = [Topic(f"panier.{name}.v1", "conversation", (), (), ()) for name in ("first", "second")]
    try:
        await apply_topics(kafka, topics=new[:1], partitions=5)
        await apply_topics(kafka, topics=new)
        described = await admin.describe_topics([topic.name for topic in new])
        assert [len(topic["partitions"]) for topic in described] == [5, 5]
    finally:
        await admin.delete_topics([topic.name for topic in new])


async def test_what_the_broker_refuses_is_said_in_its_words(admin: AIOKafkaAdminClient) -> None:
    with pytest.raises(Exception, match=rf"{NAMED} could not be changed: .*retention\.ms"):
        await alter(admin, {NAMED: {"retention.ms": Changed("1", "a week")}})


def test_the_command_says_what_it_changes(kafka: str, panier: Panier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANIER_KAFKA_BOOTSTRAP_SERVERS", kafka)
    panier("topics", "apply")
    again = panier("topics", "apply", "--json")
    assert (again.exit, again.document) == (0, {"made": [], "changed": {}, "hidden": []})
    more = panier("topics", "apply", "--partitions", "48", "--replication", "3", "--json")
    assert (more.exit, more.document) == (0, {"made": [], "changed": {}, "hidden": []})  # of new topics only
    spoilt = panier("topics", "apply", "--dry-run")
    assert spoilt.out.splitlines() == ["made: nothing was missing", "nothing of that was done: it was a dry run"]
