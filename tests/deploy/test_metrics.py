"""What alerts and dashboards ask is what the running system says: every query, asked by a real Prometheus.

The whole local stack plays a purchase; Prometheus scrapes it as Kubernetes would have it do. The databases' own
queries run on real, migrated databases, as the role that monitoring has.
"""

import json
import pathlib
import subprocess
import sys
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import yaml
from panier_common.ports import free_port
from panier_common.testing.plugin import Database
from programs import prometheus
from queries import FOREIGN, LABELS, RECORDED, Query, database_queries, every_query, known, rules, selectors

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))
from stack import Customer, Stack, eventually, link_of, reply_ids, request  # noqa: E402

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

# Not counted while all goes well; their names are checked against the registry, and their labels where they appear.
SELDOM = {
    "panier_dead_letters_total",
    "panier_duplicates_total",
    "panier_graph_resent_total",
    "panier_ingest_unknown_number_messages_total",
    "panier_numbers_held",
    "panier_payment_problems_total",
    "panier_provider_call_seconds_bucket",
    "panier_provider_waiting_seconds",
    "panier_token_expires_timestamp_seconds",  # where Meta says until when: the stand-in does not
    "panier_waits_total",
}
# Every series that our processes may have, by the registry and prometheus_client.
OURS = {name for name in known() if name.startswith(("panier_", "process_"))}
FROM_DATABASES = {name for name in known() if name.startswith("cnpg_panier_")}
_OF_THE_EXPORTER = {"__name__", "le"}
_OF_THE_SCRAPE = {"service", "instance", "job"}


class Prometheus:
    """One of our own, over the services of a stack."""

    def __init__(self, stack: Stack, folder: pathlib.Path) -> None:
        services = [one for one in stack.ask_status()["services"] if one["name"] != "simulator"]
        # Recorded as often as all else here: nobody waits for half a minute.
        hasty = {"groups": [{k: v for k, v in group.items() if k != "interval"} for group in rules()["groups"]]}
        (folder / "rules.yaml").write_text(yaml.safe_dump(hasty), encoding="utf-8")
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(folder / "rules.yaml")],
            "scrape_configs": [
                {
                    "job_name": "panier",
                    "static_configs": [
                        {"targets": [urlsplit(one["admin"]).netloc], "labels": {"service": one["name"]}}
                        for one in services
                    ],
                }
            ],
        }
        self.services = {one["name"] for one in services}
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        self.url = f"http://127.0.0.1:{free_port()}"
        with (folder / "prometheus.log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    prometheus(),
                    f"--config.file={folder}/prometheus.yaml",
                    f"--storage.tsdb.path={folder}/prometheus",
                    f"--web.listen-address={urlsplit(self.url).netloc}",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def ask(self, expr: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(
            request("GET", f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': expr})}")[1]
        )
        return answer

    def series(self, expr: str) -> list[dict[str, str]]:
        return [one["metric"] for one in self.ask(expr)["data"]["result"]]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A stack in which somebody has bought something, seen by Prometheus several times since."""
    folder = tmp_path_factory.mktemp("watched")
    stack = Stack(folder)
    seen: Prometheus | None = None
    try:
        stack.start()
        _buy(stack)
        seen = Prometheus(stack, folder)
        eventually("Prometheus", lambda: request("GET", f"{seen.url}/-/ready")[0] == 200)
        up = 'sum(up{job="panier"})'
        eventually("every service to be scraped", lambda: _value(seen, up) == len(seen.services))
        _buy(stack)  # while Prometheus looks on: what was counted before is no increase
        eventually("some more samples", lambda: _value(seen, 'min(count_over_time(up{job="panier"}[1m]))') >= 8)
        yield seen
    finally:
        if seen is not None:
            seen.stop()
        stack.stop()


def _value(of: Prometheus, expr: str) -> float:
    result = of.ask(expr)["data"]["result"]
    return float(result[0]["value"][1]) if result else 0.0


def _offers(prefix: str) -> Callable[[list[dict[str, Any]]], bool]:
    return lambda messages: any(i.startswith(prefix) for m in messages for i in reply_ids(m["body"]))


def _buy(stack: Stack) -> None:
    customer = Customer(stack, "Inès Le Goff")
    customer.act(cart=[{"sku": "croissant", "quantity": 4}])
    customer.answers(_offers("checkout:start"))
    customer.press("checkout:start", enough=_offers("checkout:collect"))
    customer.press("checkout:collect", enough=_offers("checkout:confirm:"))
    link = link_of(customer.press("checkout:confirm:", enough=lambda messages: link_of(messages) is not None))
    assert link is not None
    order = stack.ask("orders", "show", link.partition("?")[0].rpartition("/")[2])
    assert stack.pay(order, f"pay-{order['order_id']}") == 200
    customer.answers()


def test_every_query_can_be_answered(watched: Prometheus) -> None:
    failed = [
        f"{query}: {answer['error']}" for query in every_query() if (answer := watched.ask(query.expr)).get("error")
    ]
    assert failed == []


def whose(name: str) -> str:
    """Who has this series: our stack, Prometheus by a rule of ours, or somebody whose figures are checked elsewhere."""
    if name in OURS:
        return "ours"
    if name in RECORDED:
        return "recorded"
    # CloudNativePG's, kubelet's and the JMX exporter's own are listed beside our registry; those of databases that are
    # ours are asked of real databases below.
    return "others" if name in FOREIGN or name in FROM_DATABASES else "nobody's"


def test_every_metric_that_is_asked_for_is_exposed(watched: Prometheus) -> None:
    asked = {s.name for query in every_query() for s in selectors(query.expr)}
    assert {name for name in asked if whose(name) == "nobody's"} == set()
    missing = {name for name in asked if whose(name) == "ours" and not watched.series(name)}
    assert missing <= SELDOM


def test_a_metric_of_nobody_is_found_whatever_its_prefix() -> None:
    named = (
        "panier_ready",
        "panier_redy",
        "process_open_fds",
        "process_opened_fds",
        "panier:replies:bad_5m",
        "up",
        "x",
    )
    assert [whose(name) for name in named] == ["ours", "nobody's"] * 2 + ["recorded"] + ["nobody's"] * 2
    others = ("cnpg_backends_total", "cnpg_backend_total", "cnpg_panier_stock_drifted", "cnpg_panier_stocks_drifted")
    assert [whose(name) for name in others] == ["others", "nobody's"] * 2
    assert SELDOM <= OURS, "what is excused is exposed by nobody"


def test_every_selector_of_ours_finds_its_labels(watched: Prometheus) -> None:
    wrong = []
    for query in every_query():
        for selector in selectors(query.expr):
            for labels in watched.series(selector.name) if selector.name.startswith("panier_") else []:
                wrong += [f"{query}: {m.name}" for m in selector.matchers.matchers if m.name not in labels]
    assert wrong == []


def test_the_table_of_labels_is_what_is_exposed(watched: Prometheus) -> None:
    """Bounded, too: no label but those of the table, none of which holds what came from outside."""
    for series in watched.series('{__name__=~"panier_.*"}'):
        name = series["__name__"]
        known = LABELS.get(name, set())
        for part in ("_bucket", "_count", "_sum"):
            known = known | LABELS.get(name.removesuffix(part), set())
        assert series.keys() - _OF_THE_EXPORTER - _OF_THE_SCRAPE <= known, name


def test_what_is_recorded_has_values(watched: Prometheus) -> None:
    def without() -> set[str]:
        return {name for name in RECORDED if not watched.series(name)}

    eventually("every recorded series", lambda: not without(), 60)
    for name in (name for name in RECORDED if "_ratio_" in name):
        assert 0 <= _value(watched, name) <= 1


def test_a_query_that_nobody_can_answer_is_found(watched: Prometheus) -> None:
    assert watched.ask(Query("planted", "sum(rate(panier_lag_seconds)").expr).get("error")


# The databases' own queries.

ASKED = database_queries()


async def _as_monitoring(postgres: str, url: str) -> asyncpg.Connection:
    """A connection to that database with the rights that the exporter has, after a superuser ran monitoring.sql."""
    at = urlsplit(postgres)
    path = urlsplit(url).path
    admin = await asyncpg.connect(urlunsplit(at._replace(path=path)))
    owner = await admin.fetchval("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()")
    assert owner
    script = (ROOT / "deploy" / "k8s" / "platform" / "postgres" / "monitoring.sql").read_text("utf-8")
    await admin.execute(script)
    await admin.execute(script)  # it may be run again
    await admin.execute("SET ROLE pg_monitor")
    return admin


@pytest.mark.parametrize("service", ["catalog", "cart", "checkout", "sender", "console"])
async def test_the_databases_queries_run_and_give_their_columns(
    service: str, postgres: str, database: Database
) -> None:
    monitoring = await _as_monitoring(postgres, await database(f"panier_{service}"))
    try:
        for name, asked in ASKED.items():
            statement = await monitoring.prepare(asked["query"])
            columns = [column for entry in asked["metrics"] for column in entry]
            assert [attribute.name for attribute in statement.get_attributes()] == columns, name
            rows = await statement.fetch()
            if name == "panier_database":  # always one row: one that falls silent is missed
                assert [row["watched"] for row in rows] == [1]
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await monitoring.fetch("SELECT * FROM outbox")
    finally:
        await monitoring.close()


async def test_a_database_without_the_functions_does_not_say_that_it_is_watched(database: Database) -> None:
    connection = await asyncpg.connect(await database("panier_cart"))
    try:
        with pytest.raises(asyncpg.InvalidSchemaNameError):
            await connection.fetch(ASKED["panier_database"]["query"])
    finally:
        await connection.close()


async def test_stock_that_does_not_add_up_and_waiting_rows_are_seen(postgres: str, database: Database) -> None:
    url = await database("panier_catalog")
    writer = await asyncpg.connect(url)
    monitoring = await _as_monitoring(postgres, url)
    try:
        assert await monitoring.fetchval(ASKED["panier_stock"]["query"]) == 0
        await writer.execute(
            "INSERT INTO product (shop, sku, version, title, description, collection, brand, price_minor, currency, "
            "link, image_link, offered, loaded, reserved) VALUES "
            "('s', 'a', 1, '', '', '', '', 1, 'EUR', '', '', true, 9, 2), ('s', 'b', 1, '', '', '', '', 1, 'EUR', "
            "'', '', true, 9, 2)"
        )
        held = json.dumps([["a", 2], ["b", 1]])
        await writer.execute("INSERT INTO hold VALUES ('o', 's', 'reserved', 'r', $1)", held)
        assert await monitoring.fetchval(ASKED["panier_stock"]["query"]) == 1
        await writer.execute(
            "INSERT INTO outbox (loop, home, n, records, at) VALUES ('x', 1, 1, '', now() - interval '1 hour')"
        )
        [row] = await monitoring.fetch(ASKED["panier_outbox"]["query"])
        assert (row["loop"], row["batches"]) == ("x", 1)
        assert row["age_seconds"] >= 3600
    finally:
        await writer.close()
        await monitoring.close()
