"""Our own Apache Kafka: one KRaft node from its jars, for a laptop or a test run."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

from panier_cli.children import Program
from panier_cli.engines import Engine, EngineError, Tell, free_port
from panier_cli.engines.jars import KAFKA_VERSION, fetch_jars
from panier_cli.engines.java import Java, find_java

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


def properties(data: Path, port: int, controller_port: int) -> str:
    """server.properties of a single node that is its own controller."""
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"BROKER://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"BROKER://127.0.0.1:{port}",
        "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "BROKER",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(data),
        # Topics are made by `panier topics apply`; a misspelt one must not come into being.
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": "0",
        "default.replication.factor": "1",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "8",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "8",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _format(java: Java, classpath: str, folder: Path, config: Path) -> None:
    """Write the identity of a new broker. Done beside its place and moved, so that it is whole or absent."""
    fresh = folder / "data.new"
    subprocess.run(["rm", "-rf", str(fresh)], check=True)
    draft = folder / "format.properties"
    text = config.read_text("utf-8").replace(f"log.dirs={folder / 'data'}\n", f"log.dirs={fresh}\n")
    draft.write_text(text, "utf-8")
    cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    command = [java.path, "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", classpath, "kafka.tools.StorageTool"]
    done = subprocess.run(
        [*command, "format", f"--cluster-id={cluster}", "-c", str(draft)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise EngineError(
            f"the broker's data folder could not be made: {done.stdout}{done.stderr}", "is the disk full?"
        )
    draft.unlink()
    os.rename(fresh, folder / "data")


async def answers(address: str) -> bool:
    """Whether a broker is there and has taken up its work (it then lists itself in the metadata)."""
    from aiokafka.admin import AIOKafkaAdminClient

    host, _, port = address.split(",")[0].rpartition(":")
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), 2)
    except (OSError, TimeoutError):
        return False
    writer.close()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    client = AIOKafkaAdminClient(bootstrap_servers=address, request_timeout_ms=3000)
    try:
        await client.start()
        return bool((await client.describe_cluster())["brokers"])
    except Exception:  # a broker on its way up fails in many ways; all of them mean "not yet"
        return False
    finally:
        with contextlib.suppress(Exception):
            await client.close()


def prepare(folder: Path, tell: Tell, why: str) -> Engine:
    """A broker over the folder's data, ready to be started; the data is made when it is missing."""
    java, jars = find_java(), fetch_jars(tell)
    folder.mkdir(parents=True, exist_ok=True)
    port, log = free_port(), folder / "kafka.log"
    config, log4j = folder / "server.properties", folder / "log4j2.properties"
    config.write_text(properties(folder / "data", port, free_port()), "utf-8")
    log4j.write_text(_LOGGING.format(log=log), "utf-8")
    classpath = f"{jars}/*"
    if not (folder / "data" / "meta.properties").exists():
        _format(java, classpath, folder, config)
    address = f"127.0.0.1:{port}"
    argv = [java.path, "-Xms256m", "-Xmx512m", f"-Dlog4j2.configurationFile={log4j}", "-cp", classpath]
    return Engine(
        name="kafka",
        kind="own",
        address=address,
        url=address,
        choice=f"broker: Apache Kafka {KAFKA_VERSION} from its jars on {java.path} ({java.version}), "
        f"because {why}; a single broker does not survive a crash of the operating system without loss",
        answers=lambda: answers(address),
        program=Program("kafka", (*argv, "kafka.Kafka", str(config)), log=folder / "kafka.out"),
    )
