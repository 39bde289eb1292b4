"""The links between one customer's ids, for who asks to see them or to have them erased.

Every replica forgets a link when its tombstone comes back on the compacted topic.
"""

from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import Any

from aiokafka.errors import KafkaError
from fastapi import APIRouter
from panier_common.customers import Person
from panier_common.identity import is_user_id
from panier_common.kafka import Producer, partition_of
from panier_common.topics import IDENTITY
from panier_common.web import Problem

from panier_ingest.identity_directory import IdentityDirectory
from panier_ingest.links import Links, customer_of, phone_node


def linked(links: Links, number: str, ids: Sequence[str]) -> list[str]:
    """The nodes of all ids that are one customer's with these, as this number sees them."""
    asked = [one if is_user_id(one) else phone_node(number, one) for one in ids]
    found = {node for one in asked for node in links.members(one)}
    return sorted(node for node in found if ":" not in node or node.startswith(f"{number}:"))


def pairs(nodes: Sequence[str]) -> list[str]:
    """The keys that links between these nodes can have."""
    return [f"{first}~{second}" for first, second in combinations_with_replacement(sorted(nodes), 2)]


def router(identities: IdentityDirectory, producer: Producer) -> APIRouter:
    routes = APIRouter(prefix="/customers")

    @routes.post("/known")
    async def known(person: Person) -> dict[str, list[Any]]:
        """Every id of the customer's that is linked with one of these."""
        nodes = linked(identities.links, person.phone_number_id, person.ids)
        return {"linked": sorted({customer_of(node) for node in nodes})}

    @routes.post("/erase")
    async def erase(person: Person) -> dict[str, list[str]]:
        """End the links. Doing it again changes nothing."""
        nodes = linked(identities.links, person.phone_number_id, person.ids)
        try:
            await _end(producer, pairs(nodes))
        except (KafkaError, OSError, TimeoutError):
            raise Problem(503, "no_broker", "the broker does not answer", "try again") from None
        return {"unlinked": [customer_of(node) for node in nodes]}

    return routes


async def _end(producer: Producer, keys: Sequence[str]) -> None:
    """A tombstone for each of these keys, acknowledged."""
    partitions = await producer.partitions(IDENTITY.name)
    current = await producer.get()
    for key in keys:
        partition = partition_of(key, partitions)
        await current.send_and_wait(IDENTITY.name, None, key=key.encode(), partition=partition)
