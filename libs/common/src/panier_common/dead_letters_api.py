"""The internal API of a service's dead letters: look, mend, try again, drop. Who asks says so in a header."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from fastapi import APIRouter, Header, Query, Request

from panier_common import dead_letters
from panier_common.brokers import brokers
from panier_common.event import EVENT_TYPES, decode
from panier_common.kafka import MAX_RECORD_BYTES
from panier_common.postgres import Connection, Pool
from panier_common.topics import BY_NAME, key_of
from panier_common.web import Problem

BULK = 1000
_FETCH_SECONDS = 10.0

By = Annotated[str, Header(alias="X-Panier-By", max_length=200)]


def _missing(letter: UUID) -> Problem:
    return Problem(404, "no_such_dead_letter", f"there is no dead letter {letter}", "panier dead list")


def router(service: str, pool: Callable[[], Pool], bootstrap_servers: str) -> APIRouter:
    """Mounted under /internal by every service with a database."""
    routes = APIRouter(prefix="/dead-letters")

    @routes.get("")
    async def listed(limit: Annotated[int, Query(ge=1, le=100_000)] = 1000) -> list[dict[str, Any]]:
        async with pool().acquire() as db:
            return await dead_letters.listed(db, service, limit)

    @routes.get("/counts")
    async def counts() -> list[dict[str, Any]]:
        async with pool().acquire() as db:
            return await dead_letters.counted(db, service)

    @routes.get("/acts")
    async def acts() -> list[dict[str, Any]]:
        async with pool().acquire() as db:
            return await dead_letters.acts(db, service)

    @routes.post("/alike/{act}")
    async def alike(act: str, loop: str, reason: str, by: By = "") -> dict[str, Any]:
        """At most BULK of them at once: who asked asks again while there are `more`."""
        if act not in ("replay", "drop"):
            raise Problem(404, "no_such_act", f"{act} cannot be done to many", "replay or drop")
        async with pool().acquire() as db, db.transaction():
            found = await dead_letters.alike(db, loop, reason, BULK, droppable=act == "drop")
            await (dead_letters.drop_all if act == "drop" else dead_letters.replay_all)(db, found, by)
        return {"service": service, "letters": len(found), "more": len(found) == BULK}

    @routes.get("/{letter}")
    async def shown(letter: UUID, whole: bool = False, by: By = "") -> dict[str, Any]:
        async with pool().acquire() as db, db.transaction():
            document = await dead_letters.shown(db, service, letter, by if whole else None)
        if document is None:
            raise _missing(letter)
        return document

    @routes.put("/{letter}/value")
    async def edited(letter: UUID, request: Request, by: By = "") -> dict[str, str]:
        value = await request.body()
        async with pool().acquire() as db, db.transaction():
            await _accept(db, letter, value)
            await dead_letters.edit(db, letter, value, by)
        return {"id": str(letter), "state": "edited"}

    @routes.post("/{letter}/replay")
    async def replay(letter: UUID, by: By = "") -> dict[str, str]:
        async with pool().acquire() as db:
            await _bring_back(db, letter, bootstrap_servers)
            async with db.transaction():
                if not await dead_letters.ask_replay(db, letter, by):
                    raise _missing(letter)
        return {"id": str(letter), "state": "replaying"}

    @routes.delete("/{letter}")
    async def dropped(letter: UUID, by: By = "") -> dict[str, str]:
        async with pool().acquire() as db, db.transaction():
            if not await dead_letters.drop(db, letter, by):
                raise _missing(letter)
        return {"id": str(letter), "state": "dropped"}

    return routes


async def _accept(db: Connection, letter: UUID, value: bytes) -> None:
    """Only what its kind and its key allow, so that a mended record cannot become another conversation's."""
    row = await dead_letters.find(db, letter)
    if row is None:
        raise _missing(letter)
    if row["replay_at"] is not None:
        raise Problem(
            409, "being_replayed", f"dead letter {letter} is being tried again", "look at it again in a second"
        )
    if len(value) > MAX_RECORD_BYTES:
        raise Problem(413, "too_large", f"{len(value)} bytes", f"a record has at most {MAX_RECORD_BYTES}")
    ce_type = dead_letters.headers_of(row).get("ce_type", "")
    if row["topic"] not in BY_NAME or ce_type not in EVENT_TYPES:
        return  # the service's own kind: it says itself what it cannot read
    try:
        event = decode(ce_type, value)
    except ValueError as error:
        raise Problem(400, "not_that_event", f"no {ce_type}: {error}", f"docs/schemas/{ce_type}.json") from None
    if key_of(event) != row["key"]:
        raise Problem(400, "another_key", "its key is not that of the record", "only what is beside the key may change")


async def _bring_back(db: Connection, letter: UUID, bootstrap_servers: str) -> None:
    """A value that was left in its topic is read from there while the topic has it."""
    async with db.transaction():
        row = await dead_letters.find(db, letter)
    if row is None or row["is_whole"] or row["edited"] is not None:
        return
    value = await _read(bootstrap_servers, TopicPartition(row["topic"], row["partition"]), row["offset"])
    await dead_letters.bring_back(db, letter, value)


async def _read(bootstrap_servers: str, place: TopicPartition, offset: int) -> bytes:
    reader = AIOKafkaConsumer(**brokers(bootstrap_servers), auto_offset_reset="none", enable_auto_commit=False)
    try:
        await reader.start()
        reader.assign([place])
        first = (await reader.beginning_offsets([place]))[place]
        if first <= offset:
            reader.seek(place, offset)
            async with asyncio.timeout(_FETCH_SECONDS):
                record = await reader.getone(place)
            if record.offset == offset and record.value is not None:
                return bytes(record.value)
    except (KafkaError, OSError, TimeoutError) as error:
        detail = f"the broker does not answer ({type(error).__name__})"
        raise Problem(503, "no_broker", detail, "try again") from None
    finally:
        await reader.stop()
    raise Problem(410, "gone", "its topic has that record no more", "panier dead edit, or panier dead drop")
