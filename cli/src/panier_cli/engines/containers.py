"""Engines in containers, for tests on a machine where a Docker engine answers."""

from __future__ import annotations

import subprocess
from urllib.parse import urlsplit

from panier_cli.engines import Engine, kafka, postgres

_KAFKA_IMAGE = "confluentinc/cp-kafka:7.9.0"
_POSTGRES_IMAGE = "postgres:18"


def docker_answers() -> bool:
    """Whether a Docker engine answers within 3 s; that a `docker` command exists proves nothing."""
    try:
        return subprocess.run(["docker", "info"], capture_output=True, timeout=3, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def start_kafka(why: str) -> Engine:
    from testcontainers.community.kafka import KafkaContainer

    container = KafkaContainer(_KAFKA_IMAGE).with_kraft().with_env("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "false")
    container.start()
    address = container.get_bootstrap_server()
    return Engine(
        name="kafka",
        kind="testcontainers",
        address=address,
        url=address,
        choice=f"broker: container {_KAFKA_IMAGE}, because {why}",
        answers=lambda: kafka.answers(address),
        close=container.stop,
    )


def start_postgres(why: str) -> Engine:
    from testcontainers.community.postgres import PostgresContainer

    container = PostgresContainer(_POSTGRES_IMAGE, username=postgres.SUPERUSER)
    container.start()
    url = container.get_connection_url(driver=None)
    parts = urlsplit(url)
    return Engine(
        name="postgres",
        kind="testcontainers",
        address=f"{parts.hostname}:{parts.port}",
        url=url,
        choice=f"database: container {_POSTGRES_IMAGE}, because {why}",
        answers=lambda: postgres.answers(url),
        close=container.stop,
    )
