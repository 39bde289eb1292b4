"""kubectl lines and SQL of the documents, taken apart, and what they name that is not there. Pure but for the pages.

What is there is what the production overlay renders, and what operators make of it. `SERVICE` in a line stands for
every service, or for every one with a database where the line is about databases.
"""

import pathlib
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from known_settings import ROOT, SERVICES, WITH_DATABASE
from manifest_rules import made_by_operators, workloads
from panier_cli.app import build
from typer.testing import CliRunner

Object = dict[str, Any]
PAGES = sorted([*ROOT.glob("*.md"), *(path for path in ROOT.glob("docs/**/*.md") if "adr" not in path.parts)])

_COMMON = {"-n": True, "--namespace": True}
# Verb → its options that documents use, and whether a value follows. `make cluster` compares with kubectl's own.
VERBS: dict[str, dict[str, bool]] = {
    "annotate": {"--overwrite": False},
    "apply": {"-k": True, "-f": True, "-l": True, "--selector": True, "--server-side": False, "--validate": True},
    "config set-context": {"--current": False},
    "create configmap": {"--from-file": True},
    "create job": {"--from": True},
    "create namespace": {},
    "create secret generic": {"--from-file": True},
    "create secret": {},
    "delete": {"-l": True},
    "describe": {"-l": True},
    "diff": {"-k": True},
    "exec": {"-it": False, "-i": False, "-c": True},
    "get": {"-l": True, "-o": True, "--field-selector": True},
    "logs": {"-l": True, "-c": True, "--since": True, "--tail": True},
    "port-forward": {},
    "rollout restart": {"-l": True},
    "rollout status": {"-l": True, "--timeout": True},
    "rollout undo": {},
    "scale": {"--replicas": True},
    "wait": {"-l": True, "--for": True, "--timeout": True},
}
# Kinds that run in the namespace and are in no manifest of ours: somebody makes them out of what is.
_MADE_KINDS = ("Pod", "PersistentVolumeClaim", "Event", "Secret", "ConfigMap", "Namespace")
_SELECTORS = ("-l", "--selector")
_NAMESPACES = ("-n", "--namespace")


@dataclass(frozen=True)
class Pod:
    labels: dict[str, str]
    containers: tuple[str, ...]
    ports: tuple[int, ...] = ()


@dataclass
class There:
    """What a line may name. `secrets` are (name, key) of Secrets and ConfigMaps that are made from outside."""

    objects: list[Object]
    namespaces: set[str]
    secrets: set[tuple[str, str]]
    pods: list[Pod] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)  # a kind as it is typed → its name

    def __post_init__(self) -> None:
        self.secrets = self.secrets | set(made_by_operators(self.objects))
        for _, metadata, pod in workloads(self.objects):
            ports = tuple(port["containerPort"] for c in pod["containers"] for port in c.get("ports", []))
            self.pods.append(Pod(metadata["labels"], tuple(c["name"] for c in pod["containers"]), ports))
        self.pods += _of_operators(self.objects)
        for one in self.objects:
            self._know(one["kind"], one["apiVersion"].rpartition("/")[0])
        for kind in _MADE_KINDS:
            self._know(kind, "")
        self._know("Backup", "postgresql.cnpg.io")

    def _know(self, kind: str, group: str) -> None:
        one = kind.lower()
        for typed in (one, f"{one}s", f"{one[:-1]}ies"):
            self.kinds[typed] = kind
            if group:
                self.kinds[f"{typed}.{group}"] = kind

    def names(self, kind: str) -> set[str]:
        if kind == "Namespace":
            return self.namespaces
        # A Job that is made of a CronJob is called like it.
        kinds = {kind, "CronJob"} if kind == "Job" else {kind}
        found = {one["metadata"]["name"] for one in self.objects if one["kind"] in kinds}
        return found | {name for name, _ in self.secrets} if kind in ("Secret", "ConfigMap") else found

    def hit(self, kind: str, labels: dict[str, str]) -> list[Pod]:
        """What of this kind has the labels: an object counts as a Pod without containers."""
        if kind == "Pod":
            return [pod for pod in self.pods if labels.items() <= pod.labels.items()]
        every = [Pod(o["metadata"].get("labels", {}), ()) for o in self.objects if kind in (o["kind"], "any")]
        return [one for one in every if labels.items() <= one.labels.items()]


def _of_operators(objects: list[Object]) -> Iterator[Pod]:
    """By the labels that Strimzi and CloudNativePG document."""
    for one in objects:
        name = one["metadata"]["name"]
        if one["kind"] == "Kafka":
            labels = {"strimzi.io/cluster": name, "strimzi.io/kind": "Kafka", "strimzi.io/name": f"{name}-kafka"}
            yield Pod(labels, ("kafka",))
        if one["kind"] == "Cluster":
            for role in ("primary", "replica"):
                containers = ("postgres", "plugin-barman-cloud")
                yield Pod({"cnpg.io/cluster": name, "cnpg.io/instanceRole": role}, containers)


@dataclass
class Line:
    verb: str
    arguments: list[str]
    options: list[tuple[str, str]]
    after: list[str]  # what follows `--`

    def of(self, *names: str) -> list[str]:
        return [value for name, value in self.options if name in names]


def lines_of(page: pathlib.Path) -> list[str]:
    return kubectl_lines(page.read_text("utf-8"))


def kubectl_lines(text: str) -> list[str]:
    """Every kubectl command of shell blocks and of inline code; what stands inside `$(…)` is one of its own."""
    found: list[str] = []
    # With every language: what closes one block opens no other.
    for _, language, block in re.findall(r"^( *)```(\w*)\n(.*?)^\1```", text, re.M | re.S):
        if language not in ("", "sh", "bash", "console"):
            continue
        loop = ""
        for line in block.replace("\\\n", " ").splitlines():
            if of := re.match(r"\s*for service in ([a-z ]+);", line):
                loop = of[1]
            each = loop.split() if "$service" in line else [""]
            found += [one for service in each for one in _commands(line.replace("$service", service))]
    inline = re.sub(r"^( *)```.*?^\1```", "", text, flags=re.M | re.S)
    for code in re.findall(r"`(kubectl\s[^`]+)`", inline):
        found += _commands(re.sub(r"\s+", " ", code))
    return found


def _commands(line: str) -> list[str]:
    inner = [one for text in re.findall(r"\$\(([^()]*)\)", line) for one in _commands(text)]
    outer = re.search(r"\bkubectl\s.*", re.sub(r"\$\([^()]*\)", "INNER", line))
    if outer is None:
        return inner
    command, _, _ = outer[0].partition(" #")
    # A quoted jsonpath holds no such character, and nothing else in these lines is quoted.
    return [*inner, re.split(r"\s[|&;]", command)[0].strip()]


def each_of(line: str) -> list[str]:
    """The line once for each service that its placeholder stands for."""
    databases = re.search(r"SERVICE[-_](?:db|database|owner)|psql|panier_SERVICE", line)
    services = (WITH_DATABASE if databases else SERVICES) if "SERVICE" in line else ("",)
    return [line.replace("SERVICE", service) for service in services]


def parsed(line: str) -> Line | str:
    """The line taken apart, or what is wrong with it."""
    words = shlex.split(line)[1:]
    after = words[words.index("--") + 1 :] if "--" in words else []
    words = words[: words.index("--")] if "--" in words else words
    verb = next((" ".join(words[:n]) for n in (3, 2, 1) if " ".join(words[:n]) in VERBS), None)
    if verb is None:
        return f"nobody knows `kubectl {' '.join(words[:2])}`"
    known, taken = VERBS[verb] | _COMMON, Line(verb, [], [], after)
    rest = words[len(verb.split()) :]
    while rest:
        word, rest = rest[0], rest[1:]
        if not word.startswith("-"):
            taken.arguments.append(word)
            continue
        name, equals, value = word.partition("=")
        if name not in known:
            return f"{verb} has no {name}"
        if known[name] and not equals:
            if not rest:
                return f"{name} lacks its value"
            value, rest = rest[0], rest[1:]
        taken.options.append((name, value))
    return taken


def complaints(line: str, there: There) -> list[str]:
    """What a line names that is not there."""
    return [wrong for one in each_of(line) for wrong in _wrong(one, there)]


def _wrong(text: str, there: There) -> Iterator[str]:
    line = parsed(text)
    if isinstance(line, str):
        yield line
        return
    yield from (f"no namespace {name}" for name in line.of(*_NAMESPACES) if name not in there.namespaces)
    yield from (f"no overlay {path}" for path in line.of("-k") if not (ROOT / path / "kustomization.yaml").is_file())
    match line.verb:
        case "create secret generic" | "create configmap" if line.arguments:
            yield from _wrong_keys(line, there)
        case "create secret" | "config set-context":
            pass
        case "create job":
            made = {f"cronjob/{name}" for name in line.arguments if name in there.names("CronJob")}
            yield from (f"no {name} of that name" for name in line.of("--from") if name not in made)
        case "create namespace":
            yield from (f"no namespace {name}" for name in line.arguments if name not in there.namespaces)
        case "logs" | "exec":
            yield from _wrong_pods(line, there)
        case "apply" | "diff":
            yield from _wrong_labels("any", line, there)
        case _:
            yield from _wrong_objects(line, there)


def _wrong_keys(line: Line, there: There) -> Iterator[str]:
    [name] = line.arguments
    for given in line.of("--from-file"):
        if (name, given.partition("=")[0]) not in there.secrets and (name, "*") not in there.secrets:
            yield f"nobody reads {name} {given.partition('=')[0]}"


def _labels(line: Line) -> dict[str, str]:
    return {key: value for s in line.of(*_SELECTORS) for key, _, value in (one.partition("=") for one in s.split(","))}


def _wrong_labels(kind: str, line: Line, there: There) -> Iterator[str]:
    labels = _labels(line)
    if labels and not there.hit(kind, labels):
        yield f"no {kind} has {', '.join(f'{key}={value}' for key, value in labels.items())}"


def _wrong_pods(line: Line, there: There) -> Iterator[str]:
    """Of `logs` and `exec`: pods by a selector, those that an inner command names, or a job's."""
    yield from _wrong_labels("Pod", line, there)
    jobs = {f"job/{name}" for name in there.names("Job")}
    if not _labels(line) and line.arguments != ["INNER"] and not jobs & set(line.arguments):
        yield f"{line.verb} of no pods"
    known = {name for pod in there.hit("Pod", _labels(line)) for name in pod.containers}
    yield from (f"no container {name}" for name in line.of("-c") if name not in known)
    if line.verb == "logs" and _labels(line) and not line.of("--tail"):
        yield "without --tail, logs of a selector are each pod's last ten lines, whatever --since says"
    if line.after[:1] == ["psql"]:
        databases = {o["spec"]["bootstrap"]["initdb"]["database"] for o in there.objects if o["kind"] == "Cluster"}
        yield from (f"no database {name}" for name in line.after[1:] if name not in databases)
    if line.after[:1] == ["panier"]:
        words = list(takewhile(lambda word: not word.startswith("-"), line.after[1:]))
        told = CliRunner().invoke(build(tuple(words)), [*words, "--help"])
        given = {word.partition("=")[0] for word in line.after if word.startswith("--")}
        known_here = set(re.findall(r"--[a-z-]+", told.stdout)) if told.exit_code == 0 else set()
        if told.exit_code or given - known_here:
            yield f"panier {' '.join(words)} has no {sorted(given - known_here)}"


def _wrong_objects(line: Line, there: There) -> Iterator[str]:
    first, *others = line.arguments or [""]
    typed, slash, name = first.partition("/")
    kinds = [there.kinds.get(one, "") for one in typed.split(",")]
    if "" in kinds:
        yield f"no kind {typed or 'at all'}"
        return
    names = [name] if slash else others[:1]
    if not names and not _labels(line) and line.verb != "get":
        yield f"{line.verb} of nothing"
    for kind in kinds:
        yield from _wrong_labels(kind, line, there)
        yield from (f"no {kind} {one}" for one in names if one not in there.names(kind) and one != "NAME")
    if line.verb == "port-forward" and kinds == ["Service"]:
        ports = [p["port"] for o in there.objects if o["metadata"]["name"] == name for p in o["spec"].get("ports", [])]
        yield from (f"{name} has no port {p}" for p in others if int(p.rpartition(":")[2]) not in ports)
    if line.verb == "port-forward" and kinds == ["Pod"]:
        known = {port for pod in there.pods for port in pod.ports}
        yield from (f"no pod has the port {p}" for p in others if int(p.rpartition(":")[2]) not in known)
    for path in line.of("-o"):
        key = re.fullmatch(r"jsonpath=\{\.data\.([\w-]+)\}", path) if kinds == ["Secret"] else None
        if key is not None and (names[0], key[1]) not in there.secrets:
            yield f"{names[0]} has no {key[1]}"


# SQL.


@dataclass(frozen=True)
class Statement:
    """A query of a page, with values where the page leaves them to the reader, and whose databases it is for."""

    where: str
    text: str
    services: tuple[str, ...]


def statements(where: str, text: str) -> list[Statement]:
    """Blocks of SQL, and inline code that is a statement.

    For the database of the service that the same paragraph, or the one beside a block, names (`in catalog's
    database`, `the sender's database`); for every service's without.
    """
    found = []
    for match in re.finditer(r"^( *)```sql\n(.*?)^\1```", text, re.M | re.S):
        before, after = text[: match.start()].rstrip(), text[match.end() :].lstrip()
        beside = f"{before.rpartition(chr(10) * 2)[2]} {after.partition(chr(10) * 2)[0]}"
        found.append(Statement(where, _filled(match[2]), _services(beside)))
    inline = re.sub(r"^( *)```.*?^\1```", "", text, flags=re.M | re.S)
    for paragraph in re.split(r"\n(?=\n|- |\d+\. )", inline):
        codes = re.findall(r"`((?:SELECT|UPDATE|DELETE FROM|INSERT INTO|WITH)\s[^`]+)`", paragraph)
        found += [Statement(where, _filled(code), _services(paragraph)) for code in codes]
    return found


def _services(beside: str) -> tuple[str, ...]:
    named = tuple(service for service in WITH_DATABASE if re.search(rf"\b{service}'s\s+database", beside))
    return named or WITH_DATABASE


def _filled(sql: str) -> str:
    """With a number where a page says `…` or PID."""
    sql = re.sub(r"\s+", " ", sql).strip().rstrip(";").replace("'…'", "'x'").replace("…", "0")
    return re.sub(r"\bPID\b", "0", sql)
