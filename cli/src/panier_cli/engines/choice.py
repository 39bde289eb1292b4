"""Which engine is used: the one that a setting names, for tests one in a container, else our own."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from panier_cli.engines import Engine, EngineError, Tell, containers, kafka, postgres

KAFKA_SETTING = "PANIER_KAFKA_BOOTSTRAP_SERVERS"
BROKERS_SETTING = "PANIER_KAFKA_BROKERS"
POSTGRES_SETTING = "PANIER_POSTGRES_URL"


def choose_kafka(folder: Path, tell: Tell, *, tests: bool = False) -> Engine:
    """The broker of a stack over ``folder``; an own one has a program that is still to be started."""
    if address := _given_kafka():
        return _named_kafka(address, kafka.way_to(address))
    contained, why = _in_container(containers.start_kafka, tell) if tests else (None, "")
    own = folder / "kafka"
    return contained or kafka.prepare(own, tell, f"{why}{KAFKA_SETTING} is not set", brokers_of(own))


def _given_kafka() -> str:
    """The addresses of brokers that the setting names, without spaces; empty when it names none."""
    addresses = (address.strip() for address in os.environ.get(KAFKA_SETTING, "").split(","))
    return ",".join(filter(None, addresses))


def _named_kafka(address: str, way: Mapping[str, Any]) -> Engine:
    """Brokers of somebody else's: their names for themselves need not be ours, nor need each be up."""

    async def answers() -> bool:
        return bool(await kafka.listed(way))

    return Engine(
        name="kafka",
        kind="setting",
        address=address,
        url=address,
        choice=f"broker: {address}, because {KAFKA_SETTING} says so",
        answers=answers,
    )


def brokers_of(folder: Path) -> int:
    """How many brokers an own engine is: one, or three, of which one may be away; as many as the folder holds."""
    held = "3" if (folder / "1").is_dir() else "1" if (folder / "data").is_dir() else ""
    given = os.environ.get(BROKERS_SETTING, "").strip() or held or "1"
    if given not in ("1", "3"):
        raise EngineError(f"{BROKERS_SETTING} is {given!r}", "1, or 3 for brokers that keep every record three times")
    if held and given != held:
        # The others would start empty, and the services find nothing where they stood.
        what = f"{folder} has the data of {held} and {BROKERS_SETTING} is {given}"
        raise EngineError(what, f"leave {BROKERS_SETTING} away, or take another folder (PANIER_DATA)")
    return int(given)


def choose_postgres(folder: Path, password: str, tell: Tell, *, tests: bool = False) -> Engine:
    """The database server of a stack over ``folder``; ``password`` is an own server's superuser's."""
    if url := _given_postgres():
        address = _address_of(url)
        return Engine(
            name="postgres",
            kind="setting",
            address=address,
            url=url,
            choice=f"database: {address}, because {POSTGRES_SETTING} says so",
            answers=lambda: postgres.answers(url),
        )
    contained, why = _in_container(containers.start_postgres, tell) if tests else (None, "")
    return contained or postgres.prepare(folder / "postgres", password, tell, f"{why}{POSTGRES_SETTING} is not set")


def _given_postgres() -> str:
    """The server's URL from its setting, or from the file that the setting's ``_FILE`` form names."""
    if path := os.environ.get(f"{POSTGRES_SETTING}_FILE"):
        try:
            return Path(path).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise EngineError(f"{POSTGRES_SETTING}_FILE cannot be read: {error}", "name a file with the URL") from error
    return os.environ.get(POSTGRES_SETTING, "").strip()


def _address_of(url: str) -> str:
    parts = urlsplit(url)
    try:
        return f"{parts.hostname}:{parts.port or 5432}"
    except ValueError as error:  # of the port alone: nothing of the password
        form = "it has the form postgresql://role:password@host:port/postgres"
        raise EngineError(f"{POSTGRES_SETTING} is no URL: {error}", form) from error


def _in_container(start: Callable[[str], Engine], tell: Tell) -> tuple[Engine | None, str]:
    """An engine in a container where that works, else the beginning of the reason why not."""
    if not containers.docker_answers():
        return None, "no Docker engine answers and "
    try:
        return start("a Docker engine answers"), ""
    except Exception as error:  # an image that cannot be pulled must not stop the tests: there is another way
        tell(f"no container: {error}")
        return None, "the Docker engine could not start its container and "
