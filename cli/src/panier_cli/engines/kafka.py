"""Our own Apache Kafka: one KRaft node from its jars, for a laptop or a test run; three of them for the proof."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panier_common.ports import free_port

from panier_cli.children import Program
from panier_cli.engines import Engine, EngineError, Tell
from panier_cli.engines.jars import KAFKA_VERSION, fetch_jars
from panier_cli.engines.java import Java, find_java

# For a machine that the broker shares with all the rest: less compiling and collecting beside the work.
QUIET = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

_LOGGING = """\
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = {log}
appender.file.filePattern = {log}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d %p %c %m%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 10MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 2
rootLogger.level = WARN
rootLogger.appenderRef.file.ref = file
"""


@dataclass(frozen=True)
class Node:
    """One broker that is a controller as well; `data` is its folder of records."""

    number: int
    folder: Path
    port: int
    controller_port: int

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def voter(self) -> str:
        return f"{self.number}@127.0.0.1:{self.controller_port}"


def properties(node: Node, nodes: Sequence[Node]) -> str:
    """server.properties of a node among its peers: alone, or one of three that keep every record three times."""
    copies = str(len(nodes))
    in_sync = str(max(1, len(nodes) - 1))
    settings = {
        "process.roles": "broker,controller",
        "node.id": str(node.number),
        "controller.quorum.voters": ",".join(peer.voter for peer in nodes),
        "listeners": f"BROKER://127.0.0.1:{node.port},CONTROLLER://127.0.0.1:{node.controller_port}",
        "advertised.listeners": f"BROKER://127.0.0.1:{node.port}",
        "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "BROKER",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(node.data),
        # Topics are made by `panier topics apply`; a misspelt one must not come into being.
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": "0",
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": copies,
        "offsets.topic.num.partitions": "8",
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.num.partitions": "8",
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": in_sync,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _format(java: Java, classpath: str, node: Node, config: Path, cluster: str) -> None:
    """Write the identity of a new broker. Done beside its place and moved, so that it is whole or absent."""
    fresh = node.folder / "data.new"
    subprocess.run(["rm", "-rf", str(fresh)], check=True)
    draft = node.folder / "format.properties"
    text = config.read_text("utf-8").replace(f"log.dirs={node.data}\n", f"log.dirs={fresh}\n")
    draft.write_text(text, "utf-8")
    command = [java.path, "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", classpath, "kafka.tools.StorageTool"]
    done = subprocess.run(
        [*command, "format", f"--cluster-id={cluster}", "-c", str(draft)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise EngineError(
            f"the broker's data folder could not be made: {done.stdout}{done.stderr}", "is the disk full?"
        )
    draft.unlink()
    os.rename(fresh, node.data)


def _cluster_of(nodes: Sequence[Node]) -> str:
    """The id that the nodes' data have, or a new one."""
    for node in nodes:
        meta = node.data / "meta.properties"
        if meta.exists():
            named = re.search(r"^cluster\.id=(\S+)$", meta.read_text("utf-8"), re.M)
            if named:
                return named[1]
    return urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


async def answers(addresses: str) -> bool:
    """Whether each of our brokers is there and has taken up its work (they then list themselves in the metadata)."""
    wanted = addresses.split(",")
    for address in wanted:
        host, _, port = address.rpartition(":")
        try:
            async with asyncio.timeout(2):
                _, writer = await asyncio.open_connection(host, int(port))
        except (OSError, TimeoutError):
            return False
        writer.close()
    found = await listed({"bootstrap_servers": addresses})
    return bool(found) if len(wanted) == 1 else found >= set(wanted)


def way_to(addresses: str) -> dict[str, Any]:
    """How brokers that a setting names are spoken to. Raises EngineError for what no waiting can mend."""
    from aiokafka.conn import collect_hosts
    from panier_common.brokers import brokers

    try:
        collect_hosts(addresses)
        return brokers(addresses)
    except (OSError, ValueError) as error:
        raise EngineError(
            f"the broker at {addresses} cannot be spoken to: {error}",
            "PANIER_KAFKA_BOOTSTRAP_SERVERS is host:port, comma-separated; "
            "PANIER_KAFKA_TLS and PANIER_KAFKA_SASL_MECHANISM say how it is spoken to",
        ) from error


async def listed(way: Mapping[str, Any]) -> set[str]:
    """The brokers that are named by one of them, spoken to this way; none while nobody answers."""
    from aiokafka.admin import AIOKafkaAdminClient

    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    client = AIOKafkaAdminClient(**way, request_timeout_ms=3000)
    try:
        await client.start()
        return {f"{one['host']}:{one['port']}" for one in (await client.describe_cluster())["brokers"]}
    except Exception:  # a broker on its way up fails in many ways; all of them mean "not yet"
        return set()
    finally:
        with contextlib.suppress(Exception):
            await client.close()


def prepare(folder: Path, tell: Tell, why: str, brokers: int = 1) -> Engine:
    """A broker over the folder's data, or several, ready to be started; the data is made when it is missing."""
    java, jars = find_java(), fetch_jars(tell)
    folders = [folder] if brokers == 1 else [folder / str(n) for n in range(1, brokers + 1)]
    nodes = [Node(n, place, free_port(), free_port()) for n, place in enumerate(folders, 1)]
    cluster = _cluster_of(nodes)
    programs = [_program(node, nodes, java, f"{jars}/*", cluster) for node in nodes]
    address = ",".join(f"127.0.0.1:{node.port}" for node in nodes)
    risk = "a single broker does not survive a crash of the operating system without loss"
    kept = risk if brokers == 1 else f"{brokers} brokers, each record on all of them and acknowledged by {brokers - 1}"
    return Engine(
        name="kafka",
        kind="own",
        address=address,
        url=address,
        choice=f"broker: Apache Kafka {KAFKA_VERSION} from its jars on {java.path} ({java.version}), "
        f"because {why}; {kept}",
        answers=lambda: answers(address),
        program=programs[0],
        siblings=tuple(programs[1:]),
    )


def _program(node: Node, nodes: Sequence[Node], java: Java, classpath: str, cluster: str) -> Program:
    """One broker's configuration and data, and how it is run."""
    node.folder.mkdir(parents=True, exist_ok=True)
    log = node.folder / "kafka.log"
    config, log4j = node.folder / "server.properties", node.folder / "log4j2.properties"
    config.write_text(properties(node, nodes), "utf-8")
    log4j.write_text(_LOGGING.format(log=log), "utf-8")
    if not (node.data / "meta.properties").exists():
        _format(java, classpath, node, config, cluster)
    argv = [java.path, "-Xms256m", "-Xmx512m", *QUIET, f"-Dlog4j2.configurationFile={log4j}", "-cp", classpath]
    name = "kafka" if len(nodes) == 1 else f"kafka/{node.number}"
    return Program(name, (*argv, "kafka.Kafka", str(config)), log=node.folder / "kafka.out")
