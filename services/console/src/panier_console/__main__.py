"""Builds the console and runs it."""

from panier_common.process import Process, main
from panier_common.web import Server

from panier_console import loops
from panier_console.api import router
from panier_console.merges import merging_inboxes
from panier_console.page import page_app
from panier_console.settings import ConsoleSettings


async def console() -> None:
    settings = ConsoleSettings()
    async with Process("console", settings) as process:
        shops = process.follow_shops()
        process.add_loop(merging_inboxes(loops.conversations(shops)))
        process.add_loop(loops.deliveries())
        process.add_router(router(process.pool, process.producer))
        page = Server(page_app(), settings.host, settings.port)
        await page.start()
        try:
            await process.run()
        finally:
            await page.stop()


if __name__ == "__main__":
    main(console)
