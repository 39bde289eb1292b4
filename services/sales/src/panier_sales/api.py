"""The internal API: how a shop's day stands, and all its days for whoever checks the figures."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

from fastapi import APIRouter
from panier_common.contracts.events import ShopConfigured
from panier_common.shops import ShopDirectory
from panier_common.web import Problem

from panier_sales.counting import ShopDay, day_of, total
from panier_sales.figures import document
from panier_sales.worker import Worker


def router(worker: Worker, shops: ShopDirectory) -> APIRouter:
    routes = APIRouter()

    @routes.get("/sales")
    async def sales_of_a_day(shop: str, day: date | None = None) -> dict[str, object]:
        """One day's sales; by default today's, by the shop's clock."""
        known = _known(worker, shops, shop)
        wanted = day.isoformat() if day else day_of(datetime.now(UTC), known.timezone)
        return _document(known, wanted, worker.day(shop, wanted))

    @routes.get("/sales/days")
    async def sales_of_all_days(shop: str) -> list[dict[str, object]]:
        """Every day on which something happened, the earliest first."""
        known = _known(worker, shops, shop)
        return [_document(known, day, parts) for day, parts in sorted(worker.days(shop).items())]

    return routes


def _document(shop: ShopConfigured, day: str, parts: Sequence[ShopDay]) -> dict[str, object]:
    return document(shop.shop, day, shop.timezone, total(parts))


def _known(worker: Worker, shops: ShopDirectory, shop: str) -> ShopConfigured:
    # Figures of some partitions only would be wrong and look right.
    why = worker.why_not_ready()
    if why is not None:
        raise Problem(503, "not_ready", why, "try again in some seconds; `panier status` shows the service")
    if shop not in shops.by_id:
        known = ", ".join(sorted(shops.by_id)) or "none"
        raise Problem(404, "no_such_shop", f"no shop is called {shop!r}", f"shops: {known}")
    return shops.by_id[shop]
