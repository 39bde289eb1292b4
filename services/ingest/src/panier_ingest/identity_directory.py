"""The links between customers' ids, followed on the compacted topic and held in memory by every replica of the door."""

import msgspec
import structlog
from aiokafka import ConsumerRecord
from panier_common.compacted import follow
from panier_common.contracts.events import CustomersLinked
from panier_common.event import decode, from_wire
from panier_common.topics import IDENTITY

from panier_ingest.links import Links

log = structlog.get_logger()


class IdentityDirectory:
    """`links` as far as they were read; `loaded` once the topic was read to its end.

    A link is known here only when it comes back from the topic: what this replica knows, all know or will.
    """

    def __init__(self, bootstrap_servers: str) -> None:
        self._servers = bootstrap_servers
        self.links = Links()
        self.loaded = False

    def why_not_ready(self) -> str | None:
        return None if self.loaded else "the links between customers' ids are not loaded yet"

    async def follow(self) -> None:
        await follow(self._servers, IDENTITY, self._take, self._level)

    def _level(self) -> None:
        self.loaded = True

    def _take(self, record: "ConsumerRecord[bytes, bytes]") -> None:
        if record.value is None:
            # An erased customer's. What they show when they come back is linked anew.
            for node in (record.key or b"").decode("utf-8", "replace").split("~"):
                self.links.forget(node)
            return
        try:
            linked = decode(from_wire(record.headers).get("ce_type", ""), record.value)
        except (ValueError, msgspec.DecodeError) as error:
            log.error("a link cannot be read", offset=record.offset, error=type(error).__name__)
            return
        if isinstance(linked, CustomersLinked):
            self.links.add(linked.first, linked.second, linked.left)
