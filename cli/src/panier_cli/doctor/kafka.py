"""The brokers: can they be reached, is the way safe, are the topics those of the table, who may do what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import DescribeAclsRequest
from panier_common.brokers import brokers
from panier_common.kafka import MAX_RECORD_BYTES
from panier_common.settings import SettingsError
from panier_common.topics import CHANGELOGS, TOPICS, Topic

from panier_cli.doctor.findings import Finding, fail, ok, skipped, warn

_APPLY = "`panier topics apply` makes what is missing; on Kubernetes the topic operator does"
_SET = "`panier topics apply` sets them; on Kubernetes the topic operator does"
_ANY, _TOPIC, _GROUP, _MATCH_ANY, _DENY, _ALLOW = 1, 2, 3, 1, 2, 3
_LITERAL, _PREFIXED = 3, 4
_READ, _WRITE, _ALL = 3, 4, 2
_NOT_ALLOWED, _NO_AUTHORIZER = (29, 30, 31), 54
_WITHOUT_GROUP = frozenset({"ingest"})  # it follows its topics by itself


async def look(address: str | None) -> list[Finding]:
    """Everything that can be asked of the brokers at this address."""
    if not address:
        return [fail("kafka.reachable", "no broker is named", "set PANIER_KAFKA_BOOTSTRAP_SERVERS")]
    try:
        told = brokers(address)
    except (OSError, SettingsError) as error:
        what = f"the way to the brokers cannot be set up: {error}"
        return [fail("kafka.reachable", what, "PANIER_KAFKA_TLS needs ca.crt, user.crt and user.key")]
    admin = AIOKafkaAdminClient(**told, request_timeout_ms=10_000)
    try:
        await admin.start()
        cluster = await admin.describe_cluster()
        topics = {topic["topic"]: topic for topic in await admin.describe_topics()}
        found = [ok("kafka.reachable", f"{len(cluster['brokers'])} brokers answer, first at {address}")]
        found += [_way(told), *_sizes(topics, len(cluster["brokers"]))]
        found += _settings(await _configs(admin, [one for one in (*TOPICS, *CHANGELOGS) if one.name in topics]))
        found += await _rights(admin)
    except (KafkaError, OSError) as error:
        what = f"no broker answers at {address} ({type(error).__name__})"
        return [fail("kafka.reachable", what, "is the address right, do they run, does the network policy let you?")]
    finally:
        await admin.close()
    return found


def _way(told: Mapping[str, Any]) -> Finding:
    how = told.get("security_protocol", "PLAINTEXT")
    if how == "PLAINTEXT":
        return warn("kafka.tls", "the brokers are spoken to in plain", "set PANIER_KAFKA_TLS, unless this is a laptop")
    return ok("kafka.tls", f"the brokers are spoken to by {how}, and their certificate is one of our authority")


def _sizes(topics: Mapping[str, Any], brokers_up: int) -> Iterator[Finding]:
    table = (*TOPICS, *CHANGELOGS)
    missing = [one.name for one in table if one.name not in topics]
    if missing:
        yield fail("kafka.topics", f"not there: {', '.join(missing)}", _APPLY)
    counts: dict[int, list[str]] = {}
    copies: dict[int, list[str]] = {}
    for one in table:
        if (seen := topics.get(one.name)) is not None:
            counts.setdefault(len(seen["partitions"]), []).append(one.name)
            copies.setdefault(min((len(p["replicas"]) for p in seen["partitions"]), default=0), []).append(one.name)
            behind = [p["partition"] for p in seen["partitions"] if len(p["isr"]) < len(p["replicas"])]
            if behind:
                yield fail(
                    "kafka.replicas",
                    f"{one.name}: partitions {behind} have fewer copies in step than they should",
                    "docs/runbooks/kafka-under-replicated.md",
                )
    if len(counts) > 1:
        odd = sorted((len(names), names) for names in counts.values())[0][1]
        what = f"topics have different numbers of partitions ({sorted(counts)}); the odd ones: {', '.join(odd)}"
        yield fail("kafka.partitions", what, "all must have the same: docs/operations.md says how that is changed")
    elif counts:
        yield ok("kafka.partitions", f"every topic has {next(iter(counts))} partitions")
    if copies and min(copies) < 3:
        few = f"{len(copies[min(copies)])} topics have {min(copies)} copies on {brokers_up} brokers"
        yield warn("kafka.copies", few, "three brokers and three copies survive the loss of one; fewer lose messages")
    elif copies:
        yield ok("kafka.copies", "every topic has three copies or more")
    if not missing:
        yield ok("kafka.topics", f"all {len(table)} topics of the table are there")


async def _configs(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> dict[str, dict[str, str] | None]:
    """Each topic's settings; None where this user may not see them."""
    answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, one.name) for one in topics])
    found: dict[str, dict[str, str] | None] = {}
    for answer in answers:
        for code, _, _, name, entries in answer.resources:  # type: ignore[attr-defined]
            found[name] = None if code else {entry[0]: entry[1] for entry in entries}
    return found


def _settings(seen: Mapping[str, Mapping[str, str] | None]) -> Iterator[Finding]:
    hidden = [name for name, settings in seen.items() if settings is None]
    wrong = False
    for one in (*TOPICS, *CHANGELOGS):
        settings = seen.get(one.name)
        if settings is None:
            continue
        expected = {**{name: str(value) for name, value in one.settings.items()}}
        expected["max.message.bytes"] = str(MAX_RECORD_BYTES)
        differ = [f"{n} is {settings.get(n)}, not {v}" for n, v in expected.items() if settings.get(n) != v]
        if differ:
            wrong = True
            yield fail("kafka.settings", f"{one.name}: {'; '.join(differ)}", _SET)
    if hidden:
        yield skipped("kafka.settings", f"this user may not see the settings of {len(hidden)} topics", _ASK)
    elif not wrong:
        yield ok("kafka.settings", "every topic is kept and cleaned up as the table says")


_ASK = "give it DescribeConfigs on panier.*, or ask as an administrator"


async def _rights(admin: AIOKafkaAdminClient) -> list[Finding]:
    request = DescribeAclsRequest(_ANY, None, _MATCH_ANY, None, None, _ANY, _ANY)  # type: ignore[arg-type]
    try:
        answer = await admin._send_request(request)
    except KafkaError as error:
        return [skipped("kafka.rights", f"rights cannot be seen ({type(error).__name__})")]
    code = answer.error_code  # type: ignore[attr-defined]
    if code == _NO_AUTHORIZER:
        return [warn("kafka.rights", "the brokers let everybody do everything", "switch on an authorizer with TLS")]
    if code in _NOT_ALLOWED:
        return [skipped("kafka.rights", "this user may not see the rights of others", "ask as an administrator")]
    if code:
        return [skipped("kafka.rights", f"rights cannot be seen (Kafka's error {code})")]
    return list(judge_rights(_by_service(answer.resources)))  # type: ignore[attr-defined]


class Right(NamedTuple):
    """What one user may do, or must not: on a topic or group of that name, or on all whose names begin so."""

    kind: int
    name: str
    prefix: bool
    operation: int
    allowed: bool = True

    def concerns(self, kind: int, name: str, operation: int) -> bool:
        covers = name.startswith(self.name) if self.prefix else self.name in (name, "*")
        return covers and self.kind == kind and self.operation in (operation, _ALL)


Rights = dict[str, list[Right]]
"""By service."""


def _by_service(resources: Sequence[Any]) -> Rights:
    rights: Rights = {}
    for kind, name, pattern, acls in resources:
        for principal, _, operation, permission in acls:
            user = principal.partition(":")[2].removeprefix("CN=").partition(",")[0]
            if pattern in (_LITERAL, _PREFIXED) and permission in (_ALLOW, _DENY):
                right = Right(kind, name, pattern == _PREFIXED, operation, permission == _ALLOW)
                rights.setdefault(user.removeprefix("panier-"), []).append(right)
    return rights


def judge_rights(rights: Rights) -> Iterator[Finding]:
    """What services lack of the table, and what they may write beyond it."""
    lacking, beyond = [], []
    services = sorted({one for topic in TOPICS for one in (*topic.producers, *topic.consumers)})
    for service in services:
        granted = rights.get(service, [])
        for topic in (*TOPICS, *CHANGELOGS):
            for operation, word, due in ((_READ, "read", topic.consumers), (_WRITE, "write", topic.producers)):
                may = _may(granted, _TOPIC, topic.name, operation)
                if service in due and not may:
                    lacking.append(f"{service} may not {word} {topic.name}")
                if operation == _WRITE and may and service not in due:
                    beyond.append(f"{service} may write {topic.name}")
        reads = any(service in topic.consumers for topic in TOPICS) and service not in _WITHOUT_GROUP
        if reads and not _may(granted, _GROUP, f"panier.{service}", _READ):
            lacking.append(f"{service} may not join the groups panier.{service}.*")
    if lacking:
        yield fail("kafka.rights", "; ".join(lacking), "apply deploy/k8s/platform/kafka/users.yaml")
    if beyond:
        yield warn("kafka.rights", "; ".join(beyond), "take away what the table of topics does not say")
    if not lacking and not beyond:
        yield ok("kafka.rights", "every service may do what the table of topics says, and writes nothing else")


def _may(rights: Sequence[Right], kind: int, name: str, operation: int) -> bool:
    """One that forbids outweighs all that allow, as the brokers have it."""
    said = [right.allowed for right in rights if right.concerns(kind, name, operation)]
    return bool(said) and all(said)
