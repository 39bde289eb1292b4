"""The shops as their owners configured them, followed on the compacted topic and held in memory."""

import msgspec
import structlog
from aiokafka import ConsumerRecord

from panier_common.compacted import follow
from panier_common.contracts.events import ShopConfigured
from panier_common.event import decode, from_wire
from panier_common.topics import SHOP

log = structlog.get_logger()


class ShopDirectory:
    """Every shop by its id and by the phone number ids it has. `loaded` once the topic was read to its end."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._servers = bootstrap_servers
        self.by_id: dict[str, ShopConfigured] = {}
        self.by_number: dict[str, ShopConfigured] = {}
        self._claims: dict[str, set[str]] = {}  # number → shops whose newest record has it
        self.loaded = False

    def why_not_ready(self) -> str | None:
        if not self.loaded:
            return "shops are not loaded yet"
        return None if self.by_id else "no shop is configured: `panier shop apply FILE`"

    async def follow(self) -> None:
        """Read the topic for as long as the process lives, beginning anew whenever the broker was away."""
        await follow(self._servers, SHOP, self._take, self._level)

    def _level(self) -> None:
        self.loaded = True

    def _take(self, record: "ConsumerRecord[bytes, bytes]") -> None:
        shop_id = record.key.decode() if record.key else ""
        if record.value is None:
            self._forget(shop_id)
            return
        try:
            shop = decode(from_wire(record.headers).get("ce_type", ""), record.value)
        except (ValueError, msgspec.DecodeError) as error:
            log.error("a shop's record cannot be read", offset=record.offset, error=type(error).__name__)
            return
        if isinstance(shop, ShopConfigured):
            self.put(shop)

    def put(self, shop: ShopConfigured) -> None:
        """Take a shop in, unless a newer version of it is known."""
        known = self.by_id.get(shop.shop)
        if known is not None and known.version > shop.version:
            return
        if known is not None:
            self._give_up(known)
        self.by_id[shop.shop] = shop
        for number in shop.numbers:
            self._claims.setdefault(number.phone_number_id, set()).add(shop.shop)
            self._assign(number.phone_number_id)

    def _forget(self, shop_id: str) -> None:
        gone = self.by_id.pop(shop_id, None)
        if gone is not None:
            self._give_up(gone)

    def _give_up(self, shop: ShopConfigured) -> None:
        for number in shop.numbers:
            self._claims[number.phone_number_id].discard(shop.shop)
            self._assign(number.phone_number_id)

    def _assign(self, number: str) -> None:
        """Say whose a number is: the record that takes it may be read before the one that gives it up.

        Of two shops that have it for that moment the lesser id counts, so that every process says the same.
        """
        claims = self._claims[number]
        if claims:
            self.by_number[number] = self.by_id[min(claims)]
        else:
            self.by_number.pop(number, None)
            del self._claims[number]
