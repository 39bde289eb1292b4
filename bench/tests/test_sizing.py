"""The model of sizes: more needs more, a pause is felt as arithmetic says, and the document has the model's tables."""

import itertools
import json
import math
import pathlib
from dataclasses import replace

import pytest
from panier_bench import sizing
from panier_bench.sizing import Costs, Shape

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "sizing.md"


def test_the_document_has_the_models_tables() -> None:
    assert sizing.tables(Costs(), Shape()) in PAGE.read_text("utf-8"), "run `python -m panier_bench.sizing`"


def test_more_messages_never_need_less() -> None:
    sizes = [sizing.size(rate, Costs(), Shape()) for rate in (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)]
    for less, more in itertools.pairwise(sizes):
        assert more.cells >= less.cells
        assert more.cells * sum(more.processes.values()) >= less.cells * sum(less.processes.values())
        assert more.cells * more.brokers * more.broker_disk_gib >= less.cells * less.brokers * less.broker_disk_gib


def test_no_service_has_more_processes_than_partitions() -> None:
    for rate in (1, 999, 12_345, 100_000, 1_000_000):
        one = sizing.size(rate, Costs(), Shape())
        assert max(n for service, n in one.processes.items() if service != "ingest") <= one.partitions


def test_a_cell_ends_where_the_busiest_services_database_does() -> None:
    costs, shape = Costs(), Shape()
    busiest = max(sizing.events(shape).values())
    ends = costs.database_per_second * shape.database_scale * shape.use / busiest
    assert sizing.cells_for(math.floor(ends), costs, shape) == 1
    assert sizing.cells_for(math.ceil(ends) + 1, costs, shape) == 2


@pytest.mark.parametrize("partitions", sizing.PARTITIONS)
def test_partitions_end_where_the_busiest_service_has_a_process_for_each(partitions: int) -> None:
    costs, shape = Costs(), Shape()
    ends = sizing.partitions_end(partitions, costs, shape)
    # As many databases as it takes: they end long before.
    faster = replace(shape, database_scale=1_000)
    busiest = [max(sizing.size(rate, costs, faster).processes.values()) for rate in (ends - 1, ends + 1)]
    assert busiest[0] == partitions
    assert busiest[1] == partitions + 1 or sizing.cells_for(ends + 1, costs, faster) == 2


def test_brokers_end_where_they_write_what_they_may_with_all_copies() -> None:
    shape = Shape()
    ends = sizing.brokers_end(3, shape)
    assert ends * sizing.bytes_a_message(shape) * sizing.COPIES == pytest.approx(3 * shape.broker_bytes_a_second)
    faster = replace(shape, database_scale=1_000)
    assert [sizing.size(rate, Costs(), faster).brokers for rate in (ends - 1, ends + 1)] == [3, 4]


@pytest.mark.parametrize(("rate", "seconds"), [(300.0, 10.0), (600.0, 10.0), (900.0, 2.0)])
def test_a_pause_is_worked_off_as_arithmetic_says(rate: float, seconds: float) -> None:
    felt = sizing.pause(rate, 1000, seconds)
    assert felt.longest_seconds == pytest.approx(seconds, abs=0.1)
    assert felt.level_after_seconds == pytest.approx(seconds * rate / (1000 - rate), rel=0.05, abs=0.1)


def test_a_short_pause_makes_nobody_late_and_one_of_too_little_never_ends() -> None:
    assert sizing.pause(900, 1000, 4.0).share_late == 0
    assert sizing.pause(100, 100, 10.0).level_after_seconds == math.inf


def test_own_figures_take_the_place_of_the_readmes(tmp_path: pathlib.Path) -> None:
    own = tmp_path / "latest.json"
    own.write_text(
        json.dumps(
            {"ingest": {"per_second": 9_000}, "memory": {"services_mb": {"cart": [50.0, 60.0], "ingest": [55.0]}}}
        )
    )
    costs = sizing.measured(own, Costs())
    assert (costs.ingest_per_second, costs.memory_mb) == (9_000, 60)
    assert costs.runner_per_second == Costs().runner_per_second
