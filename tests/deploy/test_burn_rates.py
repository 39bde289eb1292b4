"""Each pair of windows of the burn-rate alerts decides by itself: a wrong factor or window makes some case here fail.

A case is traffic in which one pair alone can fire. The numbers are those usual for an objective of 30 days, written
here once more and not taken from deploy/generator.
"""

import copy
import pathlib
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from programs import promtool
from queries import rules

WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
MINUTES = dict(zip(WINDOWS, (5, 30, 60, 120, 360, 1440, 4320), strict=True))
VOLUME = 10_000
"""Events a minute, of which the objective allows 10 webhooks and 100 replies to be bad."""


@dataclass(frozen=True)
class Pair:
    """`burst`: what is bad while it is, as a multiple of what the objective allows.

    `fires` and `quiet`: (minutes that it lasts, minutes since). The first of each is a little more or less than the
    long window bears, and goes on; the second is more than that and over, and the short window still sees it or not.
    """

    long: str
    short: str
    factor: float
    severity: str
    burst: int
    fires: tuple[tuple[int, int], tuple[int, int]]
    quiet: tuple[tuple[int, int], tuple[int, int]]
    step: int
    before: tuple[int, int]
    """Minutes before the long window, all of them good, and how much busier they were."""


PAIRS = (
    Pair("1h", "5m", 14.4, "page", 30, ((31, 0), (58, 2)), ((27, 0), (57, 3)), 1, (360, 1)),
    Pair("6h", "30m", 6, "page", 12, ((190, 0), (348, 12)), ((170, 0), (344, 16)), 2, (1080, 1)),
    # With even traffic three days at the allowed rate are bad whenever one day is three times as bad. This pair is
    # for a quiet day after busy ones.
    Pair("1d", "2h", 3, "ticket", 5, ((910, 0), (1200, 40)), ((820, 0), (1200, 60)), 5, (2880, 10)),
    Pair("3d", "6h", 1, "ticket", 2, ((2270, 0), (3000, 150)), ((2050, 0), (3000, 210)), 10, (0, 1)),
)
ALERTS = {"PanierWebhooksRefused": 0.001, "PanierRepliesSlow": 0.01}


def _series(alert: str, all_: str, bad: str) -> dict[str, str]:
    if alert == "PanierWebhooksRefused":
        kind = "panier_ingest_webhooks_total"
        return {f'{kind}{{status="200"}}': all_, f'{kind}{{status="503"}}': bad}
    return {"panier_reply_seconds_count": all_, 'panier_reply_seconds_bucket{le="5.0"}': bad}


def _counted(stretches: list[tuple[int, float]], step: int) -> str:
    """A counter, from (minutes, increase a minute) one after the other."""
    told, now = ["0"], 0.0
    for minutes, rate in stretches:
        if minutes:
            told.append(f"{now + rate * step:g}+{rate * step:g}x{minutes // step - 1}")
            now += rate * step * (minutes // step)
    return " ".join(told)


def _case(alert: str, pair: Pair, lasts: int, since: int, fires: bool) -> dict[str, Any]:
    before, busier = pair.before
    good = MINUTES[pair.long] - lasts - since
    allowed = VOLUME * ALERTS[alert]
    bad = [(before, 0.0), (good, 0.0), (lasts, pair.burst * allowed), (since, 0.0)]
    every: list[tuple[int, float]] = [(before, VOLUME * busier), *((part, VOLUME) for part in (good, lasts, since))]
    well = [(minutes, of - wrong) for (minutes, of), (_, wrong) in zip(every, bad, strict=True)]
    counted, bad_ones, good_ones = (_counted(one, pair.step) for one in (every, bad, well))
    series = (good_ones, bad_ones) if alert == "PanierWebhooksRefused" else (counted, good_ones)
    labels = [{"exp_labels": {"severity": pair.severity}}] if fires else []
    at = f"{before + MINUTES[pair.long]}m"
    return {
        "interval": f"{pair.step}m",
        "name": f"{alert} {pair.long} bad for {lasts}m until {since}m ago",
        "input_series": [{"series": name, "values": values} for name, values in _series(alert, *series).items()],
        "alert_rule_test": [{"eval_time": at, "alertname": alert, "exp_alerts": labels}],
    }


def _cases(alert: str, pair: Pair) -> list[dict[str, Any]]:
    return [_case(alert, pair, *one, fires) for fires, of in ((True, pair.fires), (False, pair.quiet)) for one in of]


def _rule(alert: str, severity: str) -> dict[str, Any]:
    every: list[dict[str, Any]] = [
        rule for group in rules()["groups"] for rule in group["rules"] if rule.get("alert") == alert
    ]
    [rule] = [copy.deepcopy(one) for one in every if one["labels"]["severity"] == severity]
    # Its windows are looked at once, when everything has happened: over days, each more time costs seconds.
    del rule["annotations"], rule["for"]
    return rule


def _failed(judged: list[tuple[dict[str, Any], str, Pair]], folder: pathlib.Path) -> list[int]:
    """Which of these rules do not pass the cases of their pair."""
    recorded = [rule for group in rules()["groups"] for rule in group["rules"] if "record" in rule]
    for n, (rule, alert, pair) in enumerate(judged):
        read = [one for one in recorded if re.search(rf"{one['record']}\b", rule["expr"])]
        tests = {
            "rule_files": [f"{n}.rules"],
            "evaluation_interval": f"{pair.before[0] + MINUTES[pair.long]}m",
            "tests": _cases(alert, pair),
        }
        groups = {"groups": [{"name": "budget", "rules": [*read, rule]}]}
        (folder / f"{n}.rules").write_text(yaml.safe_dump(groups), encoding="utf-8")
        (folder / f"{n}.yaml").write_text(yaml.safe_dump(tests), encoding="utf-8")
    command = [promtool(), "test", "rules", *(f"{n}.yaml" for n in range(len(judged)))]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    # Each file is told once, with SUCCESS or with what it missed.
    told = re.split(r"^Unit Testing: +", done.stdout, flags=re.M)[1:]
    assert len(told) == len(judged), done.stdout
    assert all("SUCCESS" in one or "got:" in one for one in told), done.stdout
    return [n for n in range(len(judged)) if "SUCCESS" not in told[n]]


def wrong(rule: dict[str, Any], pair: Pair) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rule with one number of this pair changed: its factor by a seventh, or a window to the next that there is."""
    [part] = re.findall(rf"\([^()]*_ratio_{pair.long} > [^()]*\)", rule["expr"])
    limit = f" {pair.factor:g} * "
    others = {f"factor {f:.3g}": part.replace(limit, f" {f:g} * ") for f in (pair.factor / 1.15, pair.factor * 1.15)}
    for window in (pair.long, pair.short):
        at = WINDOWS.index(window)
        for other in {*WINDOWS[max(at - 1, 0) : at], *WINDOWS[at + 1 : at + 2]}:
            others[f"{window} as {other}"] = part.replace(f"_ratio_{window} ", f"_ratio_{other} ")
    for what, changed in others.items():
        assert changed != part, what
        yield what, {**rule, "expr": rule["expr"].replace(part, changed)}


@pytest.mark.parametrize("alert", ALERTS)
def test_each_pair_fires_and_is_quiet_by_itself(alert: str, tmp_path: pathlib.Path) -> None:
    judged = [(_rule(alert, pair.severity), alert, pair) for pair in PAIRS]
    assert [PAIRS[n].long for n in _failed(judged, tmp_path)] == []


@pytest.mark.parametrize("alert", ALERTS)
def test_a_wrong_factor_or_window_is_found(alert: str, tmp_path: pathlib.Path) -> None:
    planted = [(what, one, pair) for pair in PAIRS for what, one in wrong(_rule(alert, pair.severity), pair)]
    found = _failed([(one, alert, pair) for _, one, pair in planted], tmp_path)
    assert [f"{planted[n][2].long}: {planted[n][0]}" for n in range(len(planted)) if n not in found] == []
    assert len(planted) == 22
