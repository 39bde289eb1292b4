"""Each benchmark from end to end with tiny counts: real engines, real processes, and what they count."""

import json
from pathlib import Path
from typing import Any

import pytest
from panier_bench import __main__ as program
from panier_bench import figures, graph, ingest, memory, reply, runner, sender, stack, webhooks
from panier_bench.engines import Engines, topics
from panier_bench.graph import Call
from panier_cli.load import http1, sending
from panier_cli.load.sending import Door
from panier_common.topics import OUTBOUND


@pytest.fixture(scope="module", name="engines")
def _engines(kafka: str, postgres: str) -> Engines:
    return Engines(kafka, postgres, {"kafka": "test", "postgres": "test"})


async def test_ingest_and_its_echo(engines: Engines) -> None:
    await topics(engines)
    found = await ingest.measure(engines, requests=300, rounds=1)
    assert found["arrived"] > ingest.WARM_UP + 300
    assert found["per_second"] > 0
    assert found["ratio"] == pytest.approx(found["per_second"] / found["bare_per_second"], rel=0.05)
    assert 0 < found["p50_ms"] <= found["p99_ms"]
    assert found["many"]["connections"] > found["connections"]
    assert found["many"]["ratio"] > 0


async def test_runner_publishes_an_answer_and_a_change_for_each_press(engines: Engines) -> None:
    await topics(engines)
    found = await runner.measure(engines, events=1_500, rounds=1)
    assert found["events_per_second"] > 0
    assert found["published"] == 2 * 2 * 1_500
    assert 5 <= found["statements_per_batch"] <= 15


async def test_sender_and_its_bare_client(engines: Engines) -> None:
    await topics(engines)
    found = await sender.measure(engines, messages=300, customers=50, rounds=1)
    assert found["messages_per_second"] > 0
    assert found["bare_per_second"] > 0


@pytest.mark.stack
@pytest.mark.timeout(240)
async def test_the_whole_stack_answers_and_fits_the_contract(tmp_path: Path) -> None:
    async with stack.running() as running:
        answered = await reply.measure(running, singles=8, warm_up=4, rate=10, seconds=1)
        resident = await memory.measure(running)
    assert answered["samples"] == 10
    assert answered["idle"]["samples"] == 8
    assert set(answered["idle"]["kinds"]) == set(reply.KINDS)
    assert {"ingest", "catalog", "cart", "checkout", "sender", "console", "sales"} <= resident["services_mb"].keys()
    assert all(mb > 10 for each in resident["services_mb"].values() for mb in each)


def whole() -> dict[str, Any]:
    """Results of a run that measured everything."""
    spread = {"median": 2, "least": 1, "most": 3}
    delays = figures.latency([0.001, 0.002, 0.1])
    both = {"bare_per_second": 2, "ratio": 0.5, "spread": {"ratio": {"median": 0.5, "least": 0.4, "most": 0.6}}}
    return {
        "machine": program.machine(),
        "at": "2026-11-23T10:00:00+00:00",
        "ingest": {"per_second": 1, "p50_ms": 1.0, "p99_ms": 2.0, **both},
        "runner": {"events_per_second": 2, "statements_per_batch": 10, "spread": {"events_per_second": spread}},
        "sender": {"messages_per_second": 1, **both},
        "reply": {"rate": 50.0, **delays, "idle": delays},
        "memory": {"services_mb": {"cart": [90.0]}, "engines_mb": {}},
    }


def test_a_whole_run_is_the_latest_and_a_part_is_not(tmp_path: Path) -> None:
    dated = program.write(whole(), tmp_path, whole=False)
    assert [file.name for file in dated] == ["20261123T100000Z.json"]
    both = program.write(whole(), tmp_path, whole=True)
    assert [file.name for file in both] == ["20261123T100000Z.json", "latest.json"]
    latest = json.loads((tmp_path / "latest.json").read_text())
    wanted = {
        "ingest": {"per_second", "bare_per_second", "ratio", "p50_ms", "p99_ms"},
        "runner": {"events_per_second", "statements_per_batch"},
        "sender": {"messages_per_second", "bare_per_second", "ratio"},
        "reply": {"rate", "p50_ms", "p99_ms", "samples"},
    }
    assert {"machine", "at"} <= latest.keys()
    for part, names in wanted.items():
        assert names <= latest[part].keys()


def test_the_table_has_a_row_for_everything_measured() -> None:
    assert program.table(whole()).row_count == 8
    assert program.table({"machine": {}, "at": ""}).row_count == 0


def test_percentiles_and_ratios() -> None:
    assert figures.latency([n / 1000 for n in range(1, 101)]) == {
        "p50_ms": 51.0,
        "p99_ms": 100.0,
        "most_ms": 100.0,
        "samples": 100,
    }
    assert figures.ratio([10, 30], [20, 40]) == {"median": 0.625, "least": 0.5, "most": 0.75}


def test_a_webhook_has_its_size_and_its_signature() -> None:
    body = webhooks.of_size("106540352242922", "33600000001", "wamid.A", 1, 700)
    assert len(body) == 700
    request = webhooks.request(body)
    head, found, end = http1.split(request + b"POST") or (b"", b"", 0)
    assert (found, end) == (body, len(request))
    assert b"X-Hub-Signature-256: sha256=" in head
    assert http1.split(request[:-1]) is None


def test_a_message_lost_doubled_or_out_of_order_ends_the_run() -> None:
    def call(n: int) -> Call:
        return Call(0.0, "336", json.dumps({"text": {"body": f"{n} words"}}).encode())

    sender._judge([call(4), call(5)], 4, 2)
    for calls in ([call(4)], [call(4), call(5), call(5)], [call(5), call(4)], [call(4), call(6)]):
        with pytest.raises(SystemExit):
            sender._judge(calls, 4, 2)


async def test_the_load_counts_what_the_stand_in_answers() -> None:
    async with graph.listening() as stand_in:
        door = Door("127.0.0.1", int(stand_in.url.rpartition(":")[2]))
        asked = [webhooks.request(json.dumps({"to": f"+336{n}"}).encode()) for n in range(500)]
        fast = await sending.closed(door, asked, connections=8)
        slow = await sending.paced(door, asked[:50], 500, connections=2)
        assert fast.statuses == {200: 500}
        assert len(stand_in.calls) == 550
        assert {call.customer for call in stand_in.calls} == {f"336{n}" for n in range(500)}
    gaps = [later - earlier for earlier, later in zip(slow.due, slow.due[1:], strict=False)]
    assert gaps == pytest.approx([1 / 500] * 49)
    assert slow.seconds >= 49 / 500


def test_messages_of_a_benchmark_go_where_the_sender_reads() -> None:
    requested = sender._requested(7, 3, 2)
    assert {record.topic for record in requested} == {OUTBOUND.name}
    assert len({record.headers["ce_id"] for record in requested}) == 3
