"""Every alert fires when it must, is quiet when it must be, and leads to a runbook; every query names what exists."""

import copy
import pathlib
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from panier_sender.errors import RULES as META
from panier_sender.errors import Class
from panier_sender.graph import UNREACHED
from programs import promtool
from queries import DASHBOARDS, RECORDED, Query, complaints, every_query, rules
from render import render

ROOT = pathlib.Path(__file__).parents[2]
RUNBOOKS = ROOT / "docs" / "runbooks"
CASES: dict[str, dict[str, Any]] = yaml.load(
    (pathlib.Path(__file__).parent / "alert_cases.yaml").read_text("utf-8"), Loader=yaml.BaseLoader
)  # as strings: `0x20` is no number here
GROUPS = rules()["groups"]
ALERTS = [rule for group in GROUPS for rule in group["rules"] if "alert" in rule]


def test_kubernetes_and_compose_have_the_same_alerts() -> None:
    path = ROOT / "deploy" / "k8s" / "components" / "monitoring" / "rules.yaml"
    assert yaml.safe_load(path.read_text("utf-8"))["spec"] == rules()


def test_promtool_accepts_the_rules(tmp_path: pathlib.Path) -> None:
    assert _check(rules(), tmp_path).returncode == 0
    broken = copy.deepcopy(rules())
    broken["groups"][-1]["rules"][0]["expr"] = "sum(rate(x[5m]) by (y)"
    assert _check(broken, tmp_path).returncode != 0


def _check(document: Any, folder: pathlib.Path) -> subprocess.CompletedProcess[str]:
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return subprocess.run([promtool(), "check", "rules", path], capture_output=True, text=True, check=False)


def _samples(notation: str) -> str:
    """`5x3` as every version of promtool reads it."""
    return re.sub(r"(?<![\w.+-])(\d+)x(\d+)", r"\1+0x\2", notation)


def _tests(cases: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for alert, case in cases.items():
        [expr, *_] = [rule["expr"] for rule in ALERTS if rule["alert"] == alert]
        for kind, of in case.items():
            firing = [{"exp_labels": labels} for labels in of.get("labels", [])]
            said = [{"labels": labels, "value": float(value)} for labels, value in of.get("values", {}).items()]
            yield {
                "interval": "1m",
                "name": f"{alert} {kind}",
                "input_series": [{"series": s, "values": _samples(str(v))} for s, v in of["series"].items()],
                "alert_rule_test": [{"eval_time": of["at"], "alertname": alert, "exp_alerts": firing}],
                "promql_expr_test": [{"expr": expr, "eval_time": of["at"], "exp_samples": said}] if said else [],
            }


def _run(cases: dict[str, dict[str, Any]], folder: pathlib.Path) -> subprocess.CompletedProcess[str]:
    """promtool over rules without their texts, which it would compare as well.

    What is recorded over days is evaluated for the alerts alone that need it: it takes most of the time.
    """
    bare = copy.deepcopy(GROUPS)
    for group in bare:
        for rule in group["rules"]:
            rule.pop("annotations", None)
    parts = {"budgets": bare[:-1], "alerts": bare[-1:]}
    for part, groups in parts.items():
        here = {rule.get("alert") for group in groups for rule in group["rules"]}
        chosen = {name: case for name, case in cases.items() if name in here}
        tests = {"rule_files": [f"{part}.rules"], "evaluation_interval": "1m", "tests": list(_tests(chosen))}
        (folder / f"{part}.rules").write_text(yaml.safe_dump({"groups": groups}), encoding="utf-8")
        (folder / f"{part}.yaml").write_text(yaml.safe_dump(tests), encoding="utf-8")
    command = [promtool(), "test", "rules", *(folder / f"{part}.yaml" for part in parts)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_alert_fires_and_stays_quiet(tmp_path: pathlib.Path) -> None:
    assert CASES.keys() == {rule["alert"] for rule in ALERTS}
    assert all(case["fires"]["labels"] and "labels" not in case["quiet"] for case in CASES.values())
    done = _run(CASES, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_alert_that_stays_quiet_is_found(tmp_path: pathlib.Path) -> None:
    planted = copy.deepcopy(CASES["PanierLag"])
    planted["fires"]["series"] = planted["quiet"]["series"]
    assert _run({"PanierLag": planted}, tmp_path).returncode != 0


def runbook_faults(alert: dict[str, Any], root: pathlib.Path) -> list[str]:
    """What keeps whoever is woken by this alert from finding out what to do."""
    page = root / alert["annotations"]["runbook_url"]
    if not page.is_file():
        return ["there is no such page"]
    text = page.read_text("utf-8")
    faults = [] if f"`{alert['alert']}`" in text else ["the page does not say which alert it is for"]
    headings = re.findall(r"^## (.*)$", text, re.M)
    return faults if headings == ["What it means", "How to look", "What to do"] else [*faults, "a part is missing"]


def linked_runbooks(alerts: list[dict[str, Any]]) -> set[str]:
    return {pathlib.Path(rule["annotations"]["runbook_url"]).name for rule in alerts}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda rule: f"{rule['alert']} {rule['labels']['severity']}")
def test_an_alert_leads_to_its_runbook(alert: dict[str, Any]) -> None:
    assert runbook_faults(alert, ROOT) == []


def test_every_runbook_has_an_alert() -> None:
    pages = {path.name for path in RUNBOOKS.glob("*.md")}
    assert pages == linked_runbooks(ALERTS)
    forgotten = ALERTS[0]["annotations"]["runbook_url"]
    others = [rule for rule in ALERTS if rule["annotations"]["runbook_url"] != forgotten]
    assert pages - linked_runbooks(others) == {pathlib.Path(forgotten).name}


def test_a_runbook_that_is_gone_of_another_alert_or_in_pieces_is_noticed(tmp_path: pathlib.Path) -> None:
    alert = ALERTS[0]
    page = tmp_path / alert["annotations"]["runbook_url"]
    assert runbook_faults(alert, tmp_path) == ["there is no such page"]
    page.parent.mkdir(parents=True)
    whole = (ROOT / alert["annotations"]["runbook_url"]).read_text("utf-8")
    page.write_text(whole.replace(alert["alert"], "PanierOther"), "utf-8")
    assert runbook_faults(alert, tmp_path) == ["the page does not say which alert it is for"]
    page.write_text(whole.replace("## How to look", "How to look"), "utf-8")
    assert runbook_faults(alert, tmp_path) == ["a part is missing"]


def test_passing_holds_are_the_senders_own() -> None:
    """What wakes nobody is what the sender waits out; a new reason of Meta's to stop a number wakes somebody."""
    passing = {rule.reason for rule in META.values() if rule.kind is Class.SLOW_NUMBER} | {UNREACHED.reason}
    [stopped] = [rule["expr"] for rule in ALERTS if rule["alert"] == "PanierNumberStopped"]
    [excluded] = re.findall(r'reason!~"([^"]*)"', stopped)
    assert set(excluded.split("|")) == passing | {"token"}
    assert {rule.reason for rule in META.values() if rule.kind is Class.PARK} == {"token"}


@pytest.mark.parametrize("query", every_query(), ids=str)
def test_a_query_names_what_exists(query: Query) -> None:
    assert complaints(query.expr) == []


def test_a_query_of_nothing_is_found() -> None:
    assert complaints("rate(panier_record_total[5m])") == ["no metric panier_record_total"]
    assert complaints('panier_lag_seconds{topik="x"}') == ["panier_lag_seconds has no label topik"]
    assert complaints("sum by (shop) (panier_lag_seconds)") == ["no metric of the query has the label shop"]
    assert complaints("rate(panier_ready[5m])") == ["rate of panier_ready, a gauge"]


def test_the_disks_watched_are_those_of_our_engines() -> None:
    """By the names that Strimzi and CloudNativePG give them."""
    [filling] = [rule["expr"] for rule in ALERTS if rule["alert"] == "PanierDiskFills"]
    [ours] = re.findall(r'persistentvolumeclaim=~"([^"]+)"', filling)
    objects = render(ROOT / "deploy" / "k8s" / "overlays" / "production")
    pools = [one["metadata"]["name"] for one in objects if one["kind"] == "KafkaNodePool"]
    databases = [one["metadata"]["name"] for one in objects if one["kind"] == "Cluster"]
    disks = [f"data-0-panier-{pool}-0" for pool in pools] + [f"{d}-1{wal}" for d in databases for wal in ("", "-wal")]
    assert len(disks) == 12
    assert [disk for disk in disks if not re.fullmatch(ours, disk)] == []


def test_what_is_recorded_is_used() -> None:
    used = " ".join(query.expr for query in every_query())
    unused = {name for name in RECORDED if not re.search(rf"{name}\b", used)}
    # Windows are recorded for both objectives alike; some are only the other alert's.
    assert not {name for name in unused if "_ratio_" in name}


def test_dashboards_have_names_of_their_own() -> None:
    uids = [board["uid"] for board in DASHBOARDS.values()]
    assert len(uids) == len(set(uids)) == 6


@pytest.mark.parametrize("board", DASHBOARDS.values(), ids=DASHBOARDS)
def test_a_dashboard_can_be_narrowed_to_one_installation(board: dict[str, Any]) -> None:
    (only,) = [one for one in board["templating"]["list"] if one["type"] == "adhoc"]
    assert only["datasource"]["uid"] == "${source}"  # Grafana puts the filter into every query of that source
