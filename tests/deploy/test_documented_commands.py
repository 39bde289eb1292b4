"""What runbooks and guides tell people to type at a cluster and a database: everything named is there."""

import pathlib
import re
from typing import Any

import asyncpg
import pytest
from documented_commands import PAGES, VERBS, There, complaints, kubectl_lines, lines_of, statements
from known_settings import ROOT, WITH_DATABASE
from manifest_rules import containers, name_of, workloads
from panier_common.testing.plugin import Database
from render import render

OVERLAYS = ROOT / "deploy" / "k8s" / "overlays"
GUIDE = ROOT / "docs" / "howto" / "kubernetes.md"
OPERATIONS = (ROOT / "docs" / "operations.md").read_text("utf-8")
WITH_KUBECTL = [page for page in PAGES if lines_of(page)]

# kustomize is built on the first machine that has none.
pytestmark = pytest.mark.timeout(900)


def name(page: pathlib.Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="module")
def there() -> There:
    """Production, whatever namespaces the overlays have, and what the guide tells people to make."""
    namespaces = {
        one["metadata"]["name"] for path in OVERLAYS.iterdir() for one in render(path) if one["kind"] == "Namespace"
    }
    rows = re.findall(r"^\| `(panier-[a-z-]+)` \| (?:Secret|ConfigMap) \| ([^|]+) \|", GUIDE.read_text("utf-8"), re.M)
    made = {(of, key) for of, keys in rows for key in re.findall(r"`([^`]+)`", keys) or ["*"]}
    return There(render(OVERLAYS / "production"), namespaces, made)


@pytest.mark.parametrize("page", WITH_KUBECTL, ids=name)
def test_kubectl_finds_what_a_page_names(page: pathlib.Path, there: There) -> None:
    wrong = {line: found for line in lines_of(page) if (found := complaints(line, there))}
    assert wrong == {}


def test_pages_with_commands_are_found() -> None:
    assert {"docs/operations.md", "docs/howto/kubernetes.md", "docs/runbooks/stuck-consumer.md"} <= set(
        map(name, WITH_KUBECTL)
    )
    used = {line.split()[1] for page in WITH_KUBECTL for line in lines_of(page)}
    assert used == {verb.split()[0] for verb in VERBS}, "a verb that no page uses goes unread"


PLANTED = [
    ("kubectl gte pods", "nobody knows"),
    ("kubectl get pods --sinse=1m", "get has no --sinse"),
    ("kubectl get podmonitor", ""),
    ("kubectl get podmonitorz", "no kind podmonitorz"),
    ("kubectl get clusters.postgresql.cnpg.io panier-cart-db", ""),
    ("kubectl get clusters.postgresql.cnpg.io panier-carte-db", "no Cluster panier-carte-db"),
    ("kubectl get kafka,pods -l strimzi.io/cluster=panier", "no Kafka has strimzi.io/cluster=panier"),
    ("kubectl get pods -n panier-dev", ""),
    ("kubectl get pods -n paniers", "no namespace paniers"),
    ("kubectl logs -l app.kubernetes.io/name=SERVICE --since=5m --tail=-1", ""),
    ("kubectl logs -l app.kubernetes.io/name=SERVICE --since=5m", "last ten lines"),
    ("kubectl logs -l app.kubernetes.io/name=senders --since=5m", "no Pod has app.kubernetes.io/name=senders"),
    ("kubectl logs -l app.kubernetes.io/name=sender -c service --tail=100", ""),
    ("kubectl logs -l app.kubernetes.io/name=sender -c sender", "no container sender"),
    ("kubectl logs job/panier-topics", ""),
    ("kubectl rollout undo deployment/panier-SERVICE", ""),
    ("kubectl rollout undo deployment/panier-SERVICES", "no Deployment panier-ingestS"),
    ("kubectl rollout undo", "no kind at all"),
    ("kubectl rollout restart deployment", "rollout restart of nothing"),
    ("kubectl scale statefulset/panier-sales --replicas=1", "no kind statefulset"),
    ("kubectl port-forward service/panier-cart-admin 9091:9090", ""),
    ("kubectl port-forward service/panier-cart-admin 9091:9091", "panier-cart-admin has no port 9091:9091"),
    ("kubectl port-forward pod/NAME 9091:9090", ""),
    ("kubectl port-forward pod/NAME 9091:9091", "no pod has the port 9091:9091"),
    ("kubectl get secret panier-admin -o jsonpath='{.data.token}'", ""),
    ("kubectl get secret panier-admin -o jsonpath='{.data.word}'", "panier-admin has no word"),
    ("kubectl get secret panier-admins", "no Secret panier-admins"),
    ("kubectl create secret generic panier-meta --from-file=app-secret", ""),
    ("kubectl create secret generic panier-meta --from-file=secret=app-secret", "nobody reads panier-meta secret"),
    ("kubectl apply -k deploy/k8s/overlays/prod", "no overlay deploy/k8s/overlays/prod"),
    ("kubectl apply -k deploy/k8s/overlays/dev --selector app.kubernetes.io/component=jobs", "no any has"),
    ("kubectl exec -it INNER -c postgres -- psql panier_SERVICE", ""),
    ("kubectl exec -it INNER -c postgres -- psql panier_sale", "no database panier_sale"),
    ("kubectl exec -it INNER -c database -- psql panier_cart", "no container database"),
    ("kubectl exec -it panier-cart-db-1 -c postgres -- psql panier_cart", "exec of no pods"),
    ("kubectl create job panier-operator --from=cronjob/panier-operator", ""),
    ("kubectl create job panier-operator --from=cronjob/panier-operators", "no cronjob/panier-operators"),
    ("kubectl exec -it job/panier-operator -- panier doctor --only kafka.", ""),
    ("kubectl exec -it job/panier-operators -- panier doctor", "exec of no pods"),
    ("kubectl exec -it job/panier-operator -- panier doctor --onyl kafka.", "panier doctor has no ['--onyl']"),
    ("kubectl exec -it job/panier-operator -- panier doktor", "panier doktor has no"),
    ("kubectl delete job panier-operator", ""),
]


@pytest.mark.parametrize(("line", "says"), PLANTED, ids=[line for line, _ in PLANTED])
def test_what_is_not_there_is_found(line: str, says: str, there: There) -> None:
    found = complaints(line, there)
    assert (says in found[0]) if says else found == []


def test_commands_are_found_wherever_a_page_has_them() -> None:
    text = (
        "Look (`kubectl get\n  pods`), then\n\n- so:\n\n  ```sh\n  for service in cart sender; do\n"
        "      kubectl delete job panier-$service  # now\n  done\n"
        "  A=$(kubectl get secret a -o x | base64 -d) kubectl logs -l b=c | tail &\n  ```\n"
        "```yaml\nkubectl: x\n```\n\nAnd kubectl itself.\n\n```sh\nkubectl get nodes\n```\n"
    )
    assert kubectl_lines(text) == [
        "kubectl delete job panier-cart",
        "kubectl delete job panier-sender",
        "kubectl get secret a -o x",
        "kubectl logs -l b=c",
        "kubectl get nodes",
        "kubectl get pods",
    ]


def asked_outside(text: str) -> list[str]:
    """Lines that have `doctor` look at one part of what only a shell inside is told, from elsewhere."""
    lines = re.findall(r"^.*\bpanier doctor --only (?:meta|kafka|postgres|schema)\b.*$", text, re.M)
    return [line for line in lines if "kubectl exec" not in line]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_what_only_a_shell_inside_knows_is_asked_there(page: pathlib.Path) -> None:
    assert asked_outside(page.read_text("utf-8")) == []


def test_a_question_that_nobody_outside_can_answer_is_found() -> None:
    inside = "kubectl exec -it job/panier-operator -- panier doctor --only meta.\n"
    assert asked_outside(f"{inside}./panier doctor --only meta.\n") == ["./panier doctor --only meta."]


def test_a_new_token_is_asked_about_from_a_shell_that_has_read_it() -> None:
    """Which reads Secrets at its start: one that is older has the old token."""
    [section] = re.findall(r"^### `panier-shop-tokens`\n(.*?)(?=^##)", OPERATIONS, re.M | re.S)
    inside = [line for line in kubectl_lines(section) if "panier-operator" in line]
    assert inside[0] == "kubectl create job panier-operator --from=cronjob/panier-operator"
    assert "kubectl exec -it job/panier-operator -- panier doctor --only meta." in inside


def unknown_names(text: str, there: There) -> set[str]:
    """`panier-…` in a page that is no object, no Secret, no image and no package."""
    named = set(re.findall(r"`(panier-[a-z][a-z-]*[a-z])`", text))
    known = {one["metadata"]["name"] for one in there.objects} | {of for of, _ in there.secrets}
    known |= {c["image"].rpartition("/")[2].partition(":")[0] for _, c in containers(there.objects)}
    return {one for one in named - known if one.removesuffix("-ca") not in known}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_objects_that_a_page_names_are_there(page: pathlib.Path, there: There) -> None:
    assert unknown_names(page.read_text("utf-8"), there) == set()


def test_an_object_that_is_not_there_is_found(there: There) -> None:
    text = "`panier-shop-tokens`, `panier-carte`, `panier-cart-db-ca` of CloudNativePG, `panier-cli`"
    assert unknown_names(text, there) == {"panier-carte"}


# Secrets, and who must start anew for them.


def restarts(section: str) -> set[str]:
    """Deployments that a section's commands restart."""
    found: set[str] = set()
    for line in kubectl_lines(section):
        if line.startswith("kubectl rollout restart deployment"):
            found |= set(re.findall(r"deployment/(panier-\w+)", line)) or {"every service"}
    return found


def readers(objects: list[dict[str, Any]]) -> dict[str, set[str]]:
    """Secret → Deployments that have it in their environment, where only a new process sees it anew.

    One that is mounted whole is read anew by who has it.
    """
    maps = {one["metadata"]["name"] for one in objects if one["kind"] == "ConfigMap"}
    found: dict[str, set[str]] = {}
    for workload, container in containers(objects):
        sources = [source["secretRef"]["name"] for source in container.get("envFrom", []) if "secretRef" in source]
        sources += [
            e["valueFrom"]["secretKeyRef"]["name"] for e in container.get("env", []) if "secretKeyRef" in str(e)
        ]
        for secret in set(sources) - maps:
            found.setdefault(secret, set()).update([workload] if workload.startswith("Deployment ") else [])
    for _, _, pod in workloads(objects):
        for volume in pod.get("volumes", []):
            if "secret" in volume:
                found.setdefault(volume["secret"]["secretName"], set())
    return found


def unsaid(page: str, objects: list[dict[str, Any]]) -> list[str]:
    """Secrets whose change the page does not describe, or with the wrong restarts."""
    sections = dict(re.findall(r"^### `(panier-[\w-]+)`\n(.*?)(?=^##)", page, re.M | re.S))
    wrong = []
    for secret, who in readers(objects).items():
        service = next((s for s in WITH_DATABASE if re.fullmatch(rf"panier-{s}-(database|owner)", secret)), "")
        section = sections.get(secret.replace(service, "SERVICE") if service else secret)
        if section is None:
            wrong.append(f"nothing about {secret}")
            continue
        told = {one.replace("SERVICE", service) if service else one for one in restarts(section)}
        every = who == {n for n in map(name_of, objects) if n in SERVICE_DEPLOYMENTS}
        if told != ({"every service"} if every else {one.removeprefix("Deployment ") for one in who}):
            wrong.append(f"{secret}: restarts {sorted(told)}, has {sorted(who)}")
    return wrong


SERVICE_DEPLOYMENTS = {f"Deployment panier-{s}" for s in (*WITH_DATABASE, "ingest", "sales")}


def test_every_secret_says_who_must_start_anew() -> None:
    assert unsaid(OPERATIONS, render(OVERLAYS / "production")) == []


def test_a_secret_with_the_wrong_restart_or_without_a_section_is_found() -> None:
    objects = render(OVERLAYS / "production")
    forgotten = OPERATIONS.replace("### `panier-admin`", "### The admin token")
    assert unsaid(forgotten, objects) == ["nothing about panier-admin"]
    begin = OPERATIONS.index("### `panier-meta`")
    wrong = OPERATIONS[:begin] + OPERATIONS[begin:].replace(
        "restart deployment/panier-ingest", "status deployment/x", 1
    )
    assert unsaid(wrong, objects) == ["panier-meta: restarts [], has ['Deployment panier-ingest']"]
    more = render(OVERLAYS / "production")
    [sales] = [one for one in more if name_of(one) == "Deployment panier-sales"]
    sales["spec"]["template"]["spec"]["containers"][0]["envFrom"].append({"secretRef": {"name": "panier-shop-tokens"}})
    assert [one.partition(":")[0] for one in unsaid(OPERATIONS, more)] == ["panier-shop-tokens"]


# SQL, on migrated databases.

STATEMENTS = [one for page in PAGES for one in statements(name(page), page.read_text("utf-8"))]


async def unanswered(connection: asyncpg.Connection, sql: str) -> str:
    """Why this database cannot answer; nothing when it can. What would write is planned only."""
    try:
        async with connection.transaction(readonly=True):
            if sql.startswith(("SELECT", "WITH")):
                await connection.fetch(sql)
            else:
                await connection.prepare(sql)
    except asyncpg.PostgresError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("service", WITH_DATABASE)
async def test_every_query_of_the_pages_is_answered(service: str, database: Database) -> None:
    connection = await asyncpg.connect(await database(f"panier_{service}"))
    try:
        mine = [one for one in STATEMENTS if service in one.services]
        assert len(mine) >= 5
        wrong = {one.where: why for one in mine if (why := await unanswered(connection, one.text))}
        assert wrong == {}
        assert await unanswered(connection, "SELECT relnam FROM pg_class")
        assert await unanswered(connection, "UPDATE positions SET next_offset = 0")
    finally:
        await connection.close()


def test_a_place_that_a_page_writes_is_the_beginning_of_what_is_there() -> None:
    """Where a topic begins, nobody can read off a database; a place before all records is begun at the first."""
    written = [one.text for one in STATEMENTS if "next_offset =" in one.text]
    assert written
    assert [sql for sql in written if not re.search(r"SET next_offset = -1 WHERE", sql)] == []


def test_whose_database_a_query_is_for_is_read_from_beside_it() -> None:
    text = (
        "Look:\n\n```sql\nSELECT 1\nFROM hold;\n```\n\nin catalog's database.\n\n"
        "Or:\n\n```sql\nSELECT 2;\n```\n\nanywhere.\n\n"
        "- Or `UPDATE position SET\n  x = PID WHERE loop = '…'` in the sender's\n  database.\n- `SELECT now()`.\n"
    )
    assert [(one.text, one.services) for one in statements("x", text)] == [
        ("SELECT 1 FROM hold", ("catalog",)),
        ("SELECT 2", WITH_DATABASE),
        ("UPDATE position SET x = 0 WHERE loop = 'x'", ("sender",)),
        ("SELECT now()", WITH_DATABASE),
    ]
    assert {"catalog"} == {s for one in STATEMENTS if "stock-drift" in one.where for s in one.services}
