"""What is counted of each batch: its events by type, those included that nobody could digest."""

from collections import Counter
from dataclasses import replace

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from panier_common import telemetry
from panier_common.contracts.events import MessageReceived
from panier_common.kafka import Outgoing, partition_of
from panier_common.topics import INBOUND

from .tally import Rang, Tally, conversation, eventually, running, say

TAKEN, RANG = MessageReceived.ce_type, Rang.ce_type


def counted(loop: str) -> Counter[tuple[str, ...]]:
    """(type, outcome) → how many."""
    return Counter({labels[1:]: n for labels, n in telemetry.EVENTS.items() if labels[0] == loop})


class Ours(Tally):
    """A tally that wants only what the test said: the broker is shared."""

    def loop(self, name):
        return replace(super().loop(name), wants=lambda _, headers: headers.get("panier_owner") == name)


async def test_a_batch_counts_its_events_by_type_and_what_became_of_them(pool, broker, producer, name):
    who, ours = conversation(), {"panier_owner": name}
    for text in ("one", "poison", "two", "alarm"):
        await say(producer, who, text, headers=ours)
    await say(producer, who, "another's", headers={"panier_owner": "another"})
    for _ in range(2):
        await say(producer, who, "twice", wamid="wamid.twice", headers=ours)
    async with running(Ours().loop(name), pool, broker):
        expected = {(TAKEN, "taken"): 4, (TAKEN, "dead"): 1, (RANG, "taken"): 1}
        await eventually("all to be counted", lambda: is_(counted(name) == expected))


async def test_a_type_that_nobody_knows_is_no_label(pool, broker, producer, name):
    who = conversation()
    records = [
        Outgoing(0, n, INBOUND.name, who, {"panier_owner": name, "ce_type": ce_type}, b"not JSON")
        for n, ce_type in enumerate(("stranger.33612345678", TAKEN))
    ]
    await producer.send_in_order(INBOUND.name, partition_of(who, 12), records)
    async with running(Ours().loop(name), pool, broker):
        expected = {("unknown", "dead"): 1, (TAKEN, "dead"): 1}
        await eventually("both letters", lambda: is_(counted(name) == expected))


async def is_(value: bool) -> bool:
    return value


def test_a_tally_is_shown_as_a_counter_with_the_registrys_labels(monkeypatch):
    reader = InMemoryMetricReader()
    monkeypatch.setattr(telemetry, "_METER", MeterProvider([reader]).get_meter("panier"))
    events = telemetry.tally("panier.events")
    events["a", "x.v1", "taken"] += 2
    events.update([("a", "x.v1", "taken"), ("a", "y.v1", "dead")])
    [resource] = reader.get_metrics_data().resource_metrics
    [metric] = resource.scope_metrics[0].metrics
    assert metric.data.is_monotonic
    shown = {tuple(point.attributes.items()): point.value for point in metric.data.data_points}
    assert shown == {
        (("loop", "a"), ("type", "x.v1"), ("outcome", "taken")): 3,
        (("loop", "a"), ("type", "y.v1"), ("outcome", "dead")): 1,
    }
