"""What the Collector keeps of the traces: what failed, what was slow, every paid order, and a share of the rest.

Its policies name attributes, events and times. A name that no span has keeps nothing, and nothing says so.
"""

import copy
import pathlib
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from panier_common.contracts.events import OrderPaid
from panier_common.conventions import EVENT_TYPE, SPANS
from panier_common.event import EVENT_TYPES

ROOT = pathlib.Path(__file__).parents[2]
CONFIG = yaml.safe_load((ROOT / "deploy/k8s/platform/telemetry/collector-config.yaml").read_text("utf-8"))
POLICIES: list[dict[str, Any]] = CONFIG["processors"]["tail_sampling"]["policies"]
ATTRIBUTES = {name for kind in SPANS for name in kind.attributes}
LATE_MS = 5000
"""A reply that takes longer is against the objective: the trace of each must be there to look at."""


def complaints(policies: list[dict[str, Any]]) -> list[str]:
    """What is named and is not, and what should be kept and is not."""
    found, kept = [], set()
    for policy in policies:
        told = policy[policy["type"]]
        match policy["type"]:
            case "status_code" if "ERROR" in told["status_codes"]:
                kept.add("what failed")
            case "latency" if told["threshold_ms"] < LATE_MS:
                kept.add("what was slow")
            case "string_attribute":
                if told["key"] not in ATTRIBUTES:
                    found.append(f"{policy['name']}: no span has {told['key']}")
                if told["key"] == EVENT_TYPE:
                    found += [
                        f"{policy['name']}: no event is {one}" for one in told["values"] if one not in EVENT_TYPES
                    ]
                    kept |= {"every paid order"} if OrderPaid.ce_type in told["values"] else set()
                if told.get("invert_match"):
                    found.append(f"{policy['name']}: drops what it names")
            case "probabilistic" if 0 < told["sampling_percentage"] < 100:
                kept.add("a share of the rest")
            case other:
                found.append(f"{policy['name']}: {other} keeps nothing that is wanted")
    wanted = ("what failed", "what was slow", "every paid order", "a share of the rest")
    return found + [f"nobody keeps {what}" for what in wanted if what not in kept]


def test_policies_keep_what_failed_was_slow_or_was_paid() -> None:
    assert complaints(POLICIES) == []


def test_the_guide_says_what_is_kept() -> None:
    of = {policy["name"]: policy[policy["type"]] for policy in POLICIES}
    said = " ".join((ROOT / "docs" / "operations.md").read_text("utf-8").split())
    assert f"failed, took {of['slow']['threshold_ms'] // 1000} s or ended in a payment, and one in twenty" in said
    assert of["share"] == {"sampling_percentage": 100 / 20}


def _told(policies: list[dict[str, Any]], name: str) -> dict[str, Any]:
    [policy] = [one for one in policies if one["name"] == name]
    told: dict[str, Any] = policy[policy["type"]]
    return told


def _without(name: str) -> Callable[[list[dict[str, Any]]], None]:
    return lambda policies: policies.remove(next(one for one in policies if one["name"] == name))


FAULTS: list[tuple[str, Callable[[list[dict[str, Any]]], object]]] = [
    ("nobody keeps what failed", _without("failed")),
    ("nobody keeps what was slow", _without("slow")),
    ("nobody keeps every paid order", _without("paid")),
    ("nobody keeps a share of the rest", _without("share")),
    ("nobody keeps what failed", lambda p: _told(p, "failed").update(status_codes=["OK"])),
    ("nobody keeps what was slow", lambda p: _told(p, "slow").update(threshold_ms=6000)),
    ("no span has panier.event.kind", lambda p: _told(p, "paid").update(key="panier.event.kind")),
    ("no event is panier.order.payed.v1", lambda p: _told(p, "paid").update(values=["panier.order.payed.v1"])),
    ("nobody keeps every paid order", lambda p: _told(p, "paid").update(values=["panier.order.placed.v1"])),
    ("drops what it names", lambda p: _told(p, "paid").update(invert_match=True)),
    ("status_code keeps nothing", lambda p: _told(p, "failed").update(status_codes=["UNSET"])),
]


@pytest.mark.parametrize(("says", "fault"), FAULTS, ids=[f"{n} {says}" for n, (says, _) in enumerate(FAULTS)])
def test_a_planted_fault_is_found(says: str, fault: Callable[[list[dict[str, Any]]], object]) -> None:
    policies = copy.deepcopy(POLICIES)
    fault(policies)
    assert says in "\n".join(complaints(policies))
