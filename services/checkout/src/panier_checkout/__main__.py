"""Start checkout: `python -m panier_checkout`. The only place that builds things."""

from panier_common import customers, erasing, telemetry
from panier_common.process import Process, main
from panier_common.words import Words
from panier_payments import PROVIDERS, Provider

from panier_checkout import forgetting, keeping
from panier_checkout.api import routes
from panier_checkout.desk import Trade
from panier_checkout.loops import conversations_loop, payments_loop
from panier_checkout.merges import merging_dialogues
from panier_checkout.provider_calls import ProviderCalls
from panier_checkout.settings import CheckoutSettings


def providers(settings: CheckoutSettings) -> dict[str, Provider]:
    """Every provider by name, at its address if it has one."""
    urls = {"simulated": settings.simulated_payment_url}
    return {name: provider(urls.get(name, "")) for name, provider in PROVIDERS.items()}


async def checkout() -> None:
    settings = CheckoutSettings()
    async with Process("checkout", settings) as process:
        shops = process.follow_shops()
        trade = Trade(shops, Words("panier_checkout"), providers(settings))
        process.add_check("payment providers", trade.why_not_ready)
        calls = ProviderCalls(process.pool, trade.providers, settings.provider_timeout_seconds)
        conversations = erasing.add(process, merging_dialogues(conversations_loop(trade, calls)), forgetting.erase)
        if calls.needed:
            process.add_task("provider calls", calls.run(conversations.submit))
            telemetry.gauge("panier.provider.waiting", calls.waiting)
            telemetry.gauge("panier.provider.waiting_seconds", calls.waiting_seconds)
        process.add_loop(payments_loop())
        process.keep(*keeping.KEPT)
        process.add_router(routes(process.pool, process.producer, shops))
        process.add_router(customers.router(process.pool, held=forgetting.held))
        process.add_router(forgetting.router(process.pool, process.producer))
        await process.run()


if __name__ == "__main__":
    main(checkout)
