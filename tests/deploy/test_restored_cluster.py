"""The patch that the guide has for a database to be restored, put over production: what the guide says of it holds."""

import os
import pathlib
import re

import pytest
import yaml
from known_settings import ROOT
from manifest_rules import Object, name_of
from render import render
from test_kubernetes import PRODUCTION, errors_of

GUIDE = ROOT / "docs" / "howto" / "backup.md"
NAME = "Cluster panier-checkout-db"
# kustomize is built on the first machine that has none.
pytestmark = pytest.mark.timeout(900)


def restored(patch: str, folder: pathlib.Path) -> Object:
    production = os.path.relpath(PRODUCTION, folder.resolve())
    kustomization = {"resources": [production], "patches": [{"path": "restored.yaml"}]}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization), encoding="utf-8")
    (folder / "restored.yaml").write_text(patch, encoding="utf-8")
    [cluster] = [one for one in render(folder) if name_of(one) == NAME]
    return cluster


def faults(cluster: Object) -> list[str]:
    """What would keep the restored database from being the old one to its service, or from being archived."""
    [before] = [one for one in render(PRODUCTION) if name_of(one) == NAME]
    wrong = errors_of(cluster)
    made, bootstrap = before["spec"]["bootstrap"]["initdb"], cluster["spec"]["bootstrap"]
    if set(bootstrap) != {"recovery"}:
        wrong.append("it is made in two ways")
    for key in ("database", "owner", "secret"):
        if bootstrap["recovery"].get(key) != made[key]:
            wrong.append(f"recovery has another {key}")
    [source], [archive] = cluster["spec"]["externalClusters"], cluster["spec"]["plugins"]
    [archived] = before["spec"]["plugins"]
    if source["name"] != bootstrap["recovery"]["source"]:
        wrong.append("its source is nowhere")
    if source["plugin"]["parameters"] != archived["parameters"] | {"serverName": before["metadata"]["name"]}:
        wrong.append("it is not read from where the old one was archived")
    if archive["parameters"].get("serverName") in (None, before["metadata"]["name"]):
        wrong.append("it is archived into the old one's folder, which must be empty")
    if archive | {"parameters": archived["parameters"]} != archived:
        wrong.append("it is archived in another way")
    return wrong


def test_the_guides_patch_makes_the_old_database_anew(tmp_path: pathlib.Path) -> None:
    [patch] = re.findall(r"^ *```yaml\n(.*?)^ *```", GUIDE.read_text("utf-8"), re.M | re.S)
    assert faults(restored(patch, tmp_path)) == []


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("initdb: null", "two ways"),
        ("database: panier_checkout\n", "another database"),
        ("owner: panier_checkout_owner", "another owner"),
        ("serverName: panier-checkout-db\n", "not read from where"),
        ("serverName: panier-checkout-db-2", "must be empty"),
        ("isWALArchiver: true", "another way"),
    ],
)
def test_a_line_that_is_missing_is_noticed(line: str, says: str, tmp_path: pathlib.Path) -> None:
    [patch] = re.findall(r"^ *```yaml\n(.*?)^ *```", GUIDE.read_text("utf-8"), re.M | re.S)
    assert line in patch
    assert says in "; ".join(faults(restored(patch.replace(line, "\n" * line.count("\n")), tmp_path)))
