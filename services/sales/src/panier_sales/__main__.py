"""Builds the sales service and runs it."""

from panier_common.process import Process, main

from panier_sales.api import router
from panier_sales.progress import Progress, watch
from panier_sales.repeats import hush
from panier_sales.settings import SalesSettings
from panier_sales.snapshots import publish_changes
from panier_sales.worker import GROUP, SOURCES, Worker


async def sales() -> None:
    settings = SalesSettings()
    servers = settings.kafka_bootstrap_servers
    async with Process("sales", settings) as process:
        hush()
        shops = process.follow_shops()
        worker = Worker(servers, shops)
        progress = Progress(settings.stall_seconds)
        process.add_check("table", worker.why_not_ready)
        process.add_check("progress", progress.why_stalled)
        process.add_lag(progress.lag)
        process.add_router(router(worker, shops))
        process.add_task("count", worker.run(progress.answered))
        looking = watch(progress, servers, GROUP, SOURCES, lambda: worker.why_not_ready() is None)
        process.add_task("progress", looking)
        process.add_task("snapshots", publish_changes(worker, shops, process.producer))
        await process.run()


if __name__ == "__main__":
    main(sales)
