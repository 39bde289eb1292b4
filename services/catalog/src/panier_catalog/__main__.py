"""The catalogue's process: two loops, the internal API, and the shops file at the start."""

import asyncio

import structlog
from aiokafka.errors import KafkaError
from panier_common import customers, erasing, outbox, process
from panier_common.merging import merging_memories
from panier_common.postgres import AWAY, Pool
from panier_common.process import Process
from panier_common.topics import PRODUCT

from panier_catalog import api, intake, loops
from panier_catalog.feed import FeedError
from panier_catalog.intake import Partitions
from panier_catalog.settings import CatalogSettings
from panier_catalog.shops import ShopsError

AGAIN_SECONDS = 1.0
PUBLISHED_SECONDS = 0.1

log = structlog.get_logger()


class SetUp:
    """Applies the shops file and loads first catalogues, again until it succeeds; `why` until then."""

    def __init__(self, settings: CatalogSettings, pool: Pool, partitions: Partitions) -> None:
        self._settings = settings
        self._pool = pool
        self._partitions = partitions
        self._why: str | None = "the shops file was not applied yet"

    def why(self) -> str | None:
        return self._why

    async def run(self) -> None:
        """Never returns: a task that ends would end the process."""
        while (why := await self._attempt()) is not None:
            if why != self._why:
                log.warning("shops file not applied", why=why)
            self._why = why
            await asyncio.sleep(AGAIN_SECONDS)
        self._why = "the shops file is being published"
        await self._published()
        self._why = None
        await asyncio.Event().wait()

    async def _published(self) -> None:
        """Wait until what was applied is on its way to the others: a first customer's cart needs its products."""
        upto: dict[int, int] | None = None
        while True:
            try:
                async with self._pool.acquire(timeout=5) as connection:
                    if upto is None:
                        upto = await outbox.ends(connection, intake.BROWSING)
                    if not await outbox.waits(connection, intake.BROWSING, upto):
                        return
            except AWAY as error:
                log.warning("shops file not known to be published", why=type(error).__name__)
                await asyncio.sleep(AGAIN_SECONDS)
            await asyncio.sleep(PUBLISHED_SECONDS)

    async def _attempt(self) -> str | None:
        """Why it did not work; None when it did."""
        if self._settings.shops is None:
            return None
        try:
            file, catalogues = intake.read_file(self._settings.shops)
            await intake.set_up(self._pool, file, catalogues, self._partitions)
        except (ShopsError, FeedError) as error:
            return f"{self._settings.shops}: {error}"
        except (*AWAY, KafkaError) as error:
            return f"the shops file waits for the engines ({type(error).__name__})"
        return None


async def main() -> None:
    settings = CatalogSettings()
    async with Process("catalog", settings) as catalog:

        async def partitions() -> int:
            return await catalog.producer.partitions(PRODUCT.name)

        set_up = SetUp(settings, catalog.pool, partitions)
        catalog.add_check("shops file", set_up.why)
        catalog.add_task("shops file", set_up.run())
        catalog.add_router(api.router(catalog.pool, partitions))
        catalog.add_router(customers.router(catalog.pool))
        erasing.add(catalog, merging_memories(loops.browsing_loop()))
        catalog.add_loop(loops.stock_loop(partitions))
        await catalog.run()


if __name__ == "__main__":
    process.main(main)
