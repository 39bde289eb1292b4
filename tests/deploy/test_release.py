"""The release workflow: linted, complete, and its way from tags to digests walked on a copy of the overlays."""

import pathlib
import shutil
import subprocess
import sys
from typing import Any

import pytest
import yaml
from known_settings import ROOT, SERVICES
from programs import actionlint, kustomize

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WORKFLOW = ROOT / ".github" / "workflows" / "release.yml"
JOBS: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text("utf-8"))["jobs"]

pytestmark = pytest.mark.timeout(900)


def keeps_to_the_schema(path: pathlib.Path) -> bool:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", path]
    return subprocess.run(command, capture_output=True, text=True, check=False).returncode == 0


def zizmor(path: pathlib.Path) -> subprocess.CompletedProcess[str]:
    program = pathlib.Path(sys.executable).with_name("zizmor")
    config = ROOT / ".github" / "zizmor.yml"
    command = [program, "--offline", "--no-progress", "--config", config, path]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def actionlint_finds(path: pathlib.Path) -> str:
    # Scripts within the workflow are read by people: shellcheck is on some machines and not on others.
    command = [actionlint(), "-shellcheck=", "-pyflakes=", "-no-color", path]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_workflow_is_without_fault(path: pathlib.Path) -> None:
    assert keeps_to_the_schema(path)
    assert zizmor(path).returncode == 0
    assert actionlint_finds(path) == ""


def test_the_schema_finds_a_planted_fault(tmp_path: pathlib.Path) -> None:
    misspelt = tmp_path / "release.yml"
    misspelt.write_text(WORKFLOW.read_text("utf-8").replace("runs-on:", "runs-at:"), encoding="utf-8")
    assert not keeps_to_the_schema(misspelt)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("actions/checkout@v5", "somebody/checkout@v5"),
        ('"$ACTOR" --password-stdin', "${{ github.head_ref }} --password-stdin"),
    ],
)
def test_zizmor_finds_planted_faults(old: str, new: str, tmp_path: pathlib.Path) -> None:
    planted = tmp_path / ".github" / "workflows" / "release.yml"
    planted.parent.mkdir(parents=True)
    assert old in WORKFLOW.read_text("utf-8")
    planted.write_text(WORKFLOW.read_text("utf-8").replace(old, new), encoding="utf-8")
    assert zizmor(planted).returncode != 0


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("${{ matrix.folder }}", "${{ matrix.path }}"),
        ("steps.build.outputs", "steps.builder.outputs"),
        ("github.repository_owner", "github.repository_boss"),
    ],
)
def test_actionlint_finds_planted_faults(old: str, new: str, tmp_path: pathlib.Path) -> None:
    planted = tmp_path / "release.yml"
    assert old in WORKFLOW.read_text("utf-8")
    planted.write_text(WORKFLOW.read_text("utf-8").replace(old, new, 1), encoding="utf-8")
    assert "is not defined" in actionlint_finds(planted)


def test_every_image_that_is_deployed_is_built() -> None:
    built = {entry["name"]: entry for entry in JOBS["image"]["strategy"]["matrix"]["include"]}
    assert built.keys() == {*SERVICES, "cli"}
    for name, entry in built.items():
        assert (ROOT / entry["folder"] / "Dockerfile").is_file()
        assert entry["folder"].rpartition("/")[2] == name
        both = entry["platforms"] == "linux/amd64,linux/arm64"
        assert both == (name != "sales"), "Faust has no wheel for Linux on ARM"


def test_a_released_overlay_names_digests(tmp_path: pathlib.Path) -> None:
    """As the workflow does it, with digests of the test's own."""
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy", ignore=shutil.ignore_patterns("__pycache__"))
    overlay = tmp_path / "deploy" / "k8s" / "overlays" / "staging"
    refuse = [sys.executable, ROOT / "deploy" / "refuse_tags.py"]

    def refused() -> str:
        built = subprocess.run([kustomize(), "build", overlay], capture_output=True, text=True, check=True)
        done = subprocess.run(refuse, input=built.stdout, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) == (done.stderr == "")
        return done.stderr

    assert "panier-cart:0.1.0" in refused()
    images = [f"panier-{name}=ghcr.io/example/panier-{name}@sha256:{64 * '0'}" for name in (*SERVICES, "cli")]
    for image in images:
        subprocess.run([kustomize(), "edit", "set", "image", image], cwd=overlay, check=True)
    assert refused() == ""
