"""The images' recipes: linted, alike, without root, the same twice, and built from nothing that holds secrets."""

import fnmatch
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
from known_settings import SERVICES, WITH_DATABASE, settings_of
from programs import uv

ROOT = pathlib.Path(__file__).parents[2]
FOLDERS = {**{service: f"services/{service}" for service in SERVICES}, "simulator": "simulator", "cli": "cli"}
TEXTS = {name: (ROOT / folder / "Dockerfile").read_text("utf-8") for name, folder in FOLDERS.items()}


def hadolint(*paths: pathlib.Path) -> subprocess.CompletedProcess[str]:
    program = pathlib.Path(sys.executable).with_name("hadolint")
    return subprocess.run([program, *paths], capture_output=True, text=True, check=False)


def test_hadolint_finds_nothing() -> None:
    done = hadolint(*(ROOT / folder / "Dockerfile" for folder in FOLDERS.values()))
    assert done.returncode == 0, done.stdout


def test_hadolint_finds_a_fault(tmp_path: pathlib.Path) -> None:
    (tmp_path / "Dockerfile").write_text(TEXTS["cart"].replace("python:3.13-slim-bookworm", "python"))
    assert "DL3006" in hadolint(tmp_path / "Dockerfile").stdout


@pytest.mark.parametrize("service", SERVICES)
def test_services_differ_in_name_and_ports_alone(service: str) -> None:
    def general(name: str) -> str:
        return re.sub(r"^EXPOSE .*$", "EXPOSE …", TEXTS[name], flags=re.M).replace(name, "…")

    assert general(service) == general("cart")


@pytest.mark.parametrize("name", FOLDERS)
def test_an_image_is_small_locked_and_starts_its_own_program(name: str) -> None:
    text = TEXTS[name]
    final = text.rpartition("FROM ")[2]
    assert re.findall(r"^USER (.*)$", final, re.M) == ["10001:10001"]
    assert f'image.title="panier-{name}"' in final
    assert 'image.licenses="Apache-2.0"' in final
    assert f'ENTRYPOINT ["python", "-m", "panier_{name}"]' in final
    assert {line for line in text.splitlines() if line.startswith("FROM ")} == {
        "FROM python:3.13-slim-bookworm AS build",
        "FROM python:3.13-slim-bookworm",
    }
    assert f"uv sync --frozen --no-dev --no-editable --package panier-{name}" in text
    assert not re.search(r"^(ARG|ENV) .*(TOKEN|SECRET|PASSWORD)", text, re.M)


@pytest.mark.parametrize("name", [*SERVICES, "simulator"])
def test_an_image_exposes_the_ports_that_its_settings_have(name: str) -> None:
    port_settings = re.compile(rf"PANIER_{name.upper()}_(ADMIN_)?PORT")
    ports = {str(setting.default) for key, setting in settings_of(name).items() if port_settings.fullmatch(key)}
    [exposed] = re.findall(r"^EXPOSE (.*)$", TEXTS[name], re.M)
    assert set(exposed.split()) == ports


def test_uv_is_pinned_once_and_is_one_that_the_workspace_accepts() -> None:
    pins = {pin for text in TEXTS.values() for pin in re.findall(r"uv==([\d.]+)$", text, re.M)}
    assert len(pins) == 1
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    least = project["tool"]["uv"]["required-version"].removeprefix(">=")
    assert [int(n) for n in pins.pop().split(".")] >= [int(n) for n in least.split(".")]


def test_the_jobs_image_has_the_migrations_of_every_database() -> None:
    installed = set(re.findall(r"--package panier-(\w+)", TEXTS["cli"]))
    assert installed == {"cli", *WITH_DATABASE}


def test_the_context_holds_what_is_built_and_nothing_else() -> None:
    """An allow list: what nobody thought of, a .env or a key, stays outside."""
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    assert patterns[0] == "*"
    allowed = {pattern.removeprefix("!") for pattern in patterns if pattern.startswith("!")}
    members = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["uv"]["workspace"]["members"]
    assert allowed == {"pyproject.toml", "uv.lock"} | {
        f"{member}/pyproject.toml" if member in ("bench", "proof") else member.removesuffix("/*") for member in members
    }
    refused = [pattern.removeprefix("**/") for pattern in patterns[1:] if not pattern.startswith("!")]
    for inside in ("tests", "__pycache__", ".env", ".mypy_cache"):
        assert any(fnmatch.fnmatch(inside, pattern) for pattern in refused), inside


def built(folder: pathlib.Path, recipe: str) -> dict[str, str]:
    """What the recipe's own command installs from a fresh copy of the context: each file's sum."""
    context, app = folder / "build", folder / "app"
    for tree in (context, app):
        shutil.rmtree(tree, ignore_errors=True)
    for part in ("libs", "services", "simulator", "cli"):
        shutil.copytree(ROOT / part, context / part, ignore=shutil.ignore_patterns("tests", "__pycache__", ".*_cache"))
    for file in ("pyproject.toml", "uv.lock", "bench/pyproject.toml", "proof/pyproject.toml"):
        (context / file).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / file, context / file)
    told = dict(re.findall(r"(UV_\w+|PYC_\w+)=(\S+)", recipe))
    [command] = re.findall(r"^RUN --mount=\S+ \\\n((?:.*\\\n)*.*)$", recipe, re.M)
    env = {**os.environ, **told, "UV_PROJECT_ENVIRONMENT": str(app), "UV_PYTHON": sys.executable}
    env["PATH"] = f"{pathlib.Path(uv()).parent}:{env['PATH']}"
    subprocess.run(["sh", "-c", command.replace("/app", str(app))], cwd=context, env=env, check=True)
    return {
        str(file.relative_to(app)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in app.rglob("*")
        if file.is_file()
    }


@pytest.mark.timeout(300)
def test_the_same_sources_give_the_same_files(tmp_path: pathlib.Path) -> None:
    """With this machine's Python, and without the layers: their times are the workflow's to set."""
    first, second = (built(tmp_path, TEXTS["simulator"]) for _ in range(2))
    assert any(file.endswith(".pyc") for file in first)
    assert first == second


@pytest.mark.timeout(300)
def test_a_recipe_that_keeps_the_hour_is_found(tmp_path: pathlib.Path) -> None:
    careless = re.sub(r" \\\n    && (find|sed) .*", "", TEXTS["simulator"]).replace("UNCHECKED_HASH", "TIMESTAMP")
    first, second = (built(tmp_path, careless) for _ in range(2))
    differ = {file.rpartition(".")[2] for file in first if first[file] != second.get(file)}
    assert {"pyc", "json"} <= differ
