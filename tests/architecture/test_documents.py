"""Documents name only what exists: commands with their options, make targets, paths, links, settings, topics,
metrics, alerts. What they type at a cluster or a database is tests/deploy/test_documented_commands.py's.

What needs Meta, a registry, a cluster or long is not run, but nothing is named that is not there.
"""

import pathlib
import re
import shlex
from functools import cache

import pytest
import yaml
from panier_cli.app import build
from panier_common.conventions import METRICS
from panier_common.topics import TOPICS
from typer.testing import CliRunner

ROOT = pathlib.Path(__file__).parents[2]
PAGES = [
    path
    for pattern in (
        "*.md",
        "docs/**/*.md",
        "services/*/README.md",
        "simulator/README.md",
        "cli/README.md",
        "bench/README.md",
        "proof/README.md",
    )
    for path in sorted(ROOT.glob(pattern))
]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
SETTINGS = set(re.findall(r"`(PANIER_[A-Z_]+)`", (ROOT / "docs" / "configuration.md").read_text()))
# Of the local stack, the tests and the shops file: read by the command line, the engines or libs/common itself.
OTHER = {
    "PANIER_DATA",
    "PANIER_POSTGRES_URL",
    "PANIER_SHOPS",
    "PANIER_TRACES_PORT",
    "PANIER_MAVEN_REPOSITORY",
    "PANIER_FAIL_POINTS",
    "PANIER_FAIL_MARKS",
    "PANIER_DEMO_WITHOUT",
    "PANIER_KAFKA_PARTITIONS",
    "PANIER_KAFKA_REPLICATION",
    "PANIER_KAFKA_BROKERS",
}


# What a command writes, and no checkout holds.
WRITTEN = ("bench/results/",)


def name_of(page: pathlib.Path) -> str:
    return str(page.relative_to(ROOT))


def commands(page: pathlib.Path) -> list[str]:
    """Lines of the page's shell blocks, and inline code that is a command of ours."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^( *)```(?:sh|bash|console)?\n(.*?)^\1```", text, re.M | re.S)
    lines = [line.strip() for _, block in blocks for line in block.splitlines()]
    lines += re.findall(r"`((?:make|\./panier|panier) [^`]+)`", text)
    return [line.split(" #")[0].strip() for line in lines if line.startswith(("make ", "./panier ", "panier "))]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_make_targets_exist(page: pathlib.Path) -> None:
    named = {word for line in commands(page) if line.startswith("make ") for word in line.split()[1:2]}
    assert named <= TARGETS, f"{name_of(page)} names {named - TARGETS}"


@cache
def help_of(words: tuple[str, ...]) -> str:
    """The help of a command; nothing when the command line does not know the words."""
    asked = CliRunner().invoke(build(words), [*words, "--help"])
    return asked.stdout if asked.exit_code == 0 else ""


def wrong_in(line: str) -> str:
    """What a line of ours names that the command line does not know; nothing when all is there."""
    words = shlex.split(line.replace("…", "").replace("|", " "))[1:]
    plain = tuple(w for w in words if re.fullmatch(r"[a-z-]+", w) and not w.startswith("-"))
    is_group = "COMMAND" in help_of(plain[:1]).partition("\n\n")[0]
    told = help_of(plain[: 2 if is_group else 1])
    if not told:
        return "it is no command"
    known = set(re.findall(r"--[a-z-]+", told))
    missing = {word.split("=")[0] for word in words if word.startswith("--")} - known
    return f"it has no {sorted(missing)}" if missing else ""


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_and_their_options_exist(page: pathlib.Path) -> None:
    wrong = {line: wrong_in(line) for line in commands(page) if not line.startswith("make ")}
    assert not any(wrong.values()), f"{name_of(page)}: {wrong}"


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("./panier dead list --json", ""),
        ("./panier dead lst --json", "it is no command"),
        ("./panier daed list", "it is no command"),
        ("./panier dead list --js", "it has no ['--js']"),
    ],
)
def test_a_command_that_is_not_there_is_noticed(line: str, wrong: str) -> None:
    assert wrong_in(line) == wrong


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: pathlib.Path) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8"))
    dead = [link for link in links if not (page.parent / link).exists()]
    assert not dead, f"{name_of(page)}: {dead}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_paths_exist(page: pathlib.Path) -> None:
    text = page.read_text(encoding="utf-8")
    paths = re.findall(r"`((?:services|libs|docs|tests|examples|deploy|simulator|cli|bench)/[A-Za-z0-9_./-]+)`", text)
    gone = [path for path in paths if not (ROOT / path.rstrip("/")).exists() and not path.startswith(WRITTEN)]
    assert not gone, f"{name_of(page)}: {gone}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_settings_exist(page: pathlib.Path) -> None:
    named = set(re.findall(r"\bPANIER_[A-Z_]+[A-Z]\b", page.read_text(encoding="utf-8")))
    known = SETTINGS | OTHER
    unknown = {n for n in named if n not in known and n.removesuffix("_FILE") not in known}
    unknown = {
        n for n in unknown if not re.fullmatch(r"PANIER_[A-Z]+_(ADMIN_URL|PROCESSES|DATABASE_URL|ADMIN_PORT)", n)
    }
    assert not unknown, f"{name_of(page)}: {unknown}"


RULES = yaml.safe_load((ROOT / "deploy" / "compose" / "prometheus" / "rules.yaml").read_text("utf-8"))
ALERTS = {rule["alert"] for group in RULES["groups"] for rule in group["rules"] if "alert" in rule}
EXPOSED = {metric.exposed for metric in METRICS}
HEADERS = {f"panier_{word}" for word in ("language", "owner", "seq")}  # of records
MODULES = {path.name for path in ROOT.glob("*/**/src/panier_*") if ".venv" not in path.parts}


def unknown(text: str) -> set[str]:
    """Topics, metrics and alerts that a page names and that nobody has."""
    topics = set(re.findall(r"\bpanier\.[a-z-]+\.v\d+\b", text)) - {topic.name for topic in TOPICS}
    metrics = set(re.findall(r"`(panier_\w+)(?:\{[^`]*)?`", text)) - EXPOSED - MODULES - HEADERS
    alerts = set(re.findall(r"`(Panier[A-Z]\w+)`", text)) - ALERTS
    return topics | metrics | alerts


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_topics_metrics_and_alerts_exist(page: pathlib.Path) -> None:
    assert unknown(page.read_text(encoding="utf-8")) == set()


def test_a_topic_metric_or_alert_that_is_not_there_is_noticed() -> None:
    text = "`panier.cart.v1` panier.carte.v1 `panier_ready` `panier_redy{x=1}` `panier_cart` `PanierLag` `PanierLagg`"
    assert unknown(text) == {"panier.carte.v1", "panier_redy", "PanierLagg"}
