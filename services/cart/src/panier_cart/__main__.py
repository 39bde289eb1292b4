"""Starts the cart service: the only place that builds things."""

from datetime import timedelta

from panier_common import customers, erasing
from panier_common.process import Process, main

from panier_cart import erasure
from panier_cart.api import router
from panier_cart.keeping import kept
from panier_cart.loops import products, shown
from panier_cart.merges import merging_conversations
from panier_cart.settings import CartSettings


async def serve() -> None:
    settings = CartSettings()
    async with Process("cart", settings) as process:
        shops = process.follow_shops()
        erasing.add(process, merging_conversations(shops), erasure.erase_carts)
        erasing.add(process, shown(), erasure.erase_shown)
        catalogue = process.add_loop(products())
        process.add_check(
            "catalogue",
            lambda: None if catalogue.caught_up_since_start() else "the catalogue is still being read",
        )
        process.keep(*kept(timedelta(days=settings.keep_days)))
        process.add_router(router(process.pool))
        process.add_router(customers.router(process.pool, erasure.known, erasure.held))
        await process.run()


if __name__ == "__main__":
    main(serve)
