"""Patches that pages have for an overlay, put over one of ours: they change what the page says and nothing else.

The patch for a database to be restored has more to be held: test_restored_cluster.
"""

import os
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from known_settings import ROOT
from manifest_rules import Object, name_of
from panier_cli.app import build
from panier_common.topics import DAY_MS
from platform_rules import named, of_kind
from render import render
from test_kubernetes import DEV, PRODUCTION, all_problems, errors_of
from typer.testing import CliRunner

LAG = ROOT / "docs" / "runbooks" / "lag.md"
OPERATIONS = ROOT / "docs" / "operations.md"
# kustomize is built on the first machine that has none.
pytestmark = pytest.mark.timeout(900)


def blocks(page: pathlib.Path, kind: str) -> list[Any]:
    """YAML of the page that has this word."""
    found = re.findall(r"^( *)```yaml\n(.*?)^\1```", page.read_text("utf-8"), re.M | re.S)
    return [yaml.safe_load(text) for _, text in found if re.search(rf"\bkind: {kind}\b", text)]


def patched(overlay: pathlib.Path, patches: list[Object], folder: pathlib.Path) -> list[Object]:
    kustomization = {"resources": [os.path.relpath(overlay, folder.resolve())], "patches": patches}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization), encoding="utf-8")
    return render(folder)


def differing(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Where two objects differ, down to what holds no more."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before.keys() | after.keys():
            yield from differing(before.get(key), after.get(key), f"{path}.{key}")
    elif before != after:
        yield path.removeprefix(".")


def changed(overlay: pathlib.Path, objects: list[Object]) -> set[tuple[str, str]]:
    """(kind and name, path) of what is not as in the overlay."""
    before, after = ({name_of(one): one for one in every} for every in (render(overlay), objects))
    return {(name, path) for name in before | after for path in differing(before.get(name), after.get(name))}


def test_a_topic_that_is_to_keep_records_for_longer_does(tmp_path: pathlib.Path) -> None:
    [patch] = blocks(LAG, "KafkaTopic")
    objects = patched(PRODUCTION, [{"patch": yaml.safe_dump(patch)}], tmp_path)
    name = patch["metadata"]["name"]
    assert changed(PRODUCTION, objects) == {(f"KafkaTopic {name}", "spec.config.retention.ms")}
    assert named(objects, "KafkaTopic")[name]["spec"]["config"]["retention.ms"] == 14 * DAY_MS
    assert [line for one in objects for line in errors_of(one)] + all_problems(objects) == []


def test_the_job_that_would_undo_it_only_looks(tmp_path: pathlib.Path) -> None:
    [patch] = blocks(LAG, "Job")
    objects = patched(DEV, [{"patch": yaml.safe_dump(patch)}], tmp_path)
    where = "spec.template.spec.containers"
    assert changed(DEV, objects) == {("Job panier-topics", where)}
    [container] = named(objects, "Job")["panier-topics"]["spec"]["template"]["spec"]["containers"]
    *words, option = container["args"]
    assert words == ["topics", "apply"]
    assert option == "--dry-run"
    assert option in CliRunner().invoke(build(tuple(words)), [*words, "--help"]).stdout
    assert [line for one in objects for line in errors_of(one)] + all_problems(objects) == []


def more_partitions() -> list[Object]:
    [block] = blocks(OPERATIONS, "KafkaTopic")
    patches: list[Object] = block["patches"]
    return patches


def test_an_installation_may_begin_with_more_partitions(tmp_path: pathlib.Path) -> None:
    objects = patched(PRODUCTION, more_partitions(), tmp_path)
    parts = {
        "KafkaTopic": "spec.partitions",
        "ScaledObject": "spec.maxReplicaCount",
        "Cluster": "spec.postgresql.parameters.max_connections",
    }
    assert changed(PRODUCTION, objects) == {(name_of(o), parts[o["kind"]]) for o in of_kind(objects, *parts)}
    assert {one["spec"]["partitions"] for one in of_kind(objects, "KafkaTopic")} == {48}
    assert {one["spec"]["maxReplicaCount"] for one in of_kind(objects, "ScaledObject")} == {48}
    assert [line for one in objects for line in errors_of(one)] + all_problems(objects) == []


@pytest.mark.parametrize(
    ("kind", "says"), [("KafkaTopic", "more processes than partitions"), ("Cluster", "connections")]
)
def test_a_part_of_that_patch_that_is_missing_is_noticed(kind: str, says: str, tmp_path: pathlib.Path) -> None:
    others = [one for one in more_partitions() if one["target"]["kind"] != kind]
    assert len(others) == 2
    assert says in "; ".join(all_problems(patched(PRODUCTION, others, tmp_path)))
