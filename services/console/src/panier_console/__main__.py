"""Builds the console and runs it."""

from datetime import timedelta

from panier_common import customers, erasing
from panier_common.compacted import keep_moving
from panier_common.process import Process, main
from panier_common.runner import Runner
from panier_common.topics import FLOOR
from panier_common.web import Server

from panier_console import erasure, loops
from panier_console.api import router
from panier_console.keeping import forget_old, kept
from panier_console.merges import merging_inboxes
from panier_console.page import HEADERS, PAGE_BOUNDS, page_app
from panier_console.settings import ConsoleSettings


async def console() -> None:
    settings = ConsoleSettings()
    async with Process("console", settings) as process:
        shops = process.follow_shops()
        erasing.add(process, merging_inboxes(loops.conversations(shops)), erasure.erase, erasure.also)
        # The loop asks how far it was read, which its runner knows.
        ours: Runner[loops.Deliveries] = process.add_loop(loops.deliveries(lambda *places: ours.progress(*places)))
        process.add_router(router(process.pool, process.producer))
        process.add_router(customers.router(process.pool, erasure.known, erasure.held))
        process.add_task("floor", keep_moving(process.producer, FLOOR))
        keep = timedelta(days=settings.keep_days)
        process.keep(*kept(keep))
        process.add_task("keeping", forget_old(process.pool, keep))
        page = Server(page_app(), settings.host, settings.port, bounds=PAGE_BOUNDS, headers=HEADERS)
        await page.start()
        try:
            await process.run()
        finally:
            await page.stop()


if __name__ == "__main__":
    main(console)
