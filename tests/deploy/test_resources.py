"""What pods of ours ask for and may take, against what a process was measured to need (docs/sizing.md)."""

import pathlib
from collections.abc import Iterator

import pytest
from known_settings import ROOT
from manifest_rules import Object, containers, name_of
from panier_bench.sizing import Costs, Shape, processor_seconds
from render import render

OVERLAYS = sorted(path for path in (ROOT / "deploy" / "k8s" / "overlays").iterdir() if path.is_dir())
PRODUCTION = ROOT / "deploy" / "k8s" / "overlays" / "production"
# kustomize is built on the first machine that has none.
pytestmark = pytest.mark.timeout(900)
RATE, PROCESSES = 100, 2
"""Messages of customers a second that the requests of two processes of each service are enough for."""


def _mib(quantity: str) -> float:
    return float(quantity.removesuffix("Mi"))


def _cores(quantity: str) -> float:
    return float(quantity.removesuffix("m")) / 1000 if quantity.endswith("m") else float(quantity)


def _services(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    for name, container in containers(objects):
        if container["name"] == "service":
            yield name.removeprefix("Deployment panier-"), container["resources"]


def memory_is_short(objects: list[Object], requested: float, limited: float) -> Iterator[str]:
    """Where less is asked for, or allowed, than so many times the largest process."""
    largest = Costs().memory_mb
    for service, resources in _services(objects):
        if _mib(resources["requests"]["memory"]) < requested * largest:
            yield f"{service} requests {resources['requests']['memory']}"
        if _mib(resources["limits"]["memory"]) < limited * largest:
            yield f"{service} is limited to {resources['limits']['memory']}"


def processor_is_short(objects: list[Object]) -> Iterator[str]:
    costs = processor_seconds(Costs(), Shape())
    for service, resources in _services(objects):
        # Sales follows carts and orders alone, and was not measured.
        if _cores(resources["requests"]["cpu"]) < RATE / PROCESSES * costs.get(service, 0):
            yield f"{service} requests {resources['requests']['cpu']}"
        if _cores(resources["limits"]["cpu"]) < 1:
            yield f"{service} is limited to less than the core that it was measured on"


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)
def test_pods_ask_for_what_a_process_was_measured_to_need(overlay: pathlib.Path) -> None:
    objects = render(overlay)
    if overlay.name == "dev":  # one person's shop
        assert list(memory_is_short(objects, requested=1.25, limited=2.5)) == []
    else:
        assert list(memory_is_short(objects, requested=1.5, limited=5)) == []
        assert list(processor_is_short(objects)) == []


FAULTS = [
    ("requests", "memory", "128Mi", "cart requests 128Mi"),
    ("limits", "memory", "384Mi", "cart is limited to 384Mi"),
    ("requests", "cpu", "1m", "cart requests 1m"),
    ("limits", "cpu", "500m", "cart is limited to less"),
]


@pytest.mark.parametrize(("kind", "what", "quantity", "says"), FAULTS, ids=[says for *_, says in FAULTS])
def test_too_little_is_found(kind: str, what: str, quantity: str, says: str) -> None:
    objects = render(PRODUCTION)
    [cart] = [one for one in objects if name_of(one) == "Deployment panier-cart"]
    cart["spec"]["template"]["spec"]["containers"][0]["resources"][kind][what] = quantity
    found = [*memory_is_short(objects, 1.5, 5), *processor_is_short(objects)]
    assert len(found) == 1
    assert found[0].startswith(says)
