"""Every service reads the same: what is missing is named, with where to copy it from."""

import ast
import pathlib
import tomllib

import pytest

ROOT = pathlib.Path(__file__).parents[2]
SERVICES = sorted(path.name for path in (ROOT / "services").iterdir() if (path / "pyproject.toml").exists())
WITH_DATABASE = {"catalog", "cart", "checkout", "sender", "console"}
FILE_LINES, FUNCTION_LINES = 400, 80
# path → why it is longer than a file should be
LONG_FILES = {
    "libs/common/src/panier_common/contracts/events.py": "one event after the other; splitting would hide none",
    "libs/common/src/panier_common/runner.py": "one class with one life; its parts are already modules of their own",
}


def sources() -> list[pathlib.Path]:
    return [
        path
        for folder in ("libs", "services", "simulator", "cli", "bench", "proof")
        for path in sorted((ROOT / folder).rglob("src/**/*.py"))
    ]


def name_of(path: pathlib.Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_what_every_service_has(service: str) -> None:
    folder = ROOT / "services" / service
    package = folder / "src" / f"panier_{service}"
    wanted = [folder / "README.md", folder / "Dockerfile", folder / "tests", package / "__main__.py"]
    wanted.append(package / "settings.py")
    if service in WITH_DATABASE:
        wanted += [package / "db.py", package / "migrations", package / "handlers.py", package / "loops.py"]
    missing = [name_of(path) for path in wanted if not path.exists()]
    assert not missing, f"{missing}: copy the shape from services/cart"
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == f"panier-{service}"


def test_no_file_is_too_long_without_a_reason() -> None:
    long = {name_of(p): n for p in sources() if (n := len(p.read_text().splitlines())) > FILE_LINES}
    assert set(long) <= set(LONG_FILES), f"split these, or say why not in LONG_FILES: {long}"
    assert set(LONG_FILES) <= set(long), "a file in LONG_FILES is short now: take it out"


def test_no_function_is_longer_than_a_screen_and_a_half() -> None:
    long = [
        f"{name_of(path)}:{node.lineno} {node.name}"
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno > FUNCTION_LINES
    ]
    assert not long, long


def test_no_module_is_named_for_nothing() -> None:
    nothing = {"utils", "util", "helpers", "helper", "misc", "base", "common", "manager"}
    assert not [name_of(path) for path in sources() if path.stem in nothing]


def test_every_module_says_what_it_holds() -> None:
    silent = [
        name_of(p) for p in sources() if p.read_text().strip() and not ast.get_docstring(ast.parse(p.read_text()))
    ]
    assert not silent, silent


def test_the_simulator_bounds_its_connections_as_the_services_do() -> None:
    """It imports nothing of ours, so the file is there twice."""
    [ours, its] = [ROOT / "libs/common/src/panier_common", ROOT / "simulator/src/panier_simulator"]
    assert (ours / "connections.py").read_text("utf-8") == (its / "connections.py").read_text("utf-8")
