"""The application as a whole: builds the parts, adds probes, page and pictures. One port serves it all."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.applications import Starlette
from starlette.routing import Mount

from panier_simulator.api import api_routes
from panier_simulator.business import Business
from panier_simulator.clock import Clock
from panier_simulator.control import control_routes
from panier_simulator.courier import Courier, Target
from panier_simulator.entrance import Entrance
from panier_simulator.errors import GraphError
from panier_simulator.exchange import Exchange
from panier_simulator.faults import Faults, Injector
from panier_simulator.graph import answer_error, graph_routes, message_routes
from panier_simulator.hub import Hub
from panier_simulator.limits import Rates
from panier_simulator.pages import STATIC, OwnFiles, page_routes
from panier_simulator.payments import payment_routes
from panier_simulator.problems import ProblemError, answer_problem
from panier_simulator.settings import Settings
from panier_simulator.shops import read_shops
from panier_simulator.store import Store


def build_exchange(settings: Settings) -> Exchange:
    store = Store(settings.simulator_data)
    shops = read_shops(settings.shops_file)
    for shop_id, feed in store.feeds():
        if shop_id in shops.all:
            shops.all[shop_id].load(feed)
    key = settings.simulated_payment_secret.get_secret_value().encode()
    targets = {
        "whatsapp": Target(settings.simulator_webhook_url, settings.signing_secret, "X-Hub-Signature-256"),
        "payment": Target(settings.simulator_payment_webhook_url, key, "X-Panier-Signature"),
    }
    clock = Clock(store.kept("clock") or 0.0)
    # What was set by the API outlasts a restart, unless the setting says something itself.
    kept = store.kept("faults")
    injector = Injector(settings.faults if settings.simulator_faults or not kept else Faults(**kept))
    courier = Courier(
        store,
        clock,
        targets,
        settings.simulator_webhooks_parallel,
        settings.simulator_webhook_timeout_seconds,
        settings.simulator_webhook_queue,
        lambda: (injector.faults.batch_updates, injector.faults.batch_seconds),
    )
    rates = Rates(settings.simulator_pair_rate, settings.simulator_messages_per_second)
    check, review = settings.simulator_check_templates, settings.simulator_template_review_seconds
    business = Business(store, shops, courier, clock, rates, check, review)
    delay = settings.simulator_delivered_after_seconds
    return Exchange(store, shops, clock, courier, business, Hub(), rates, injector, settings.simulator_window, delay)


def build_app(exchange: Exchange, check_tokens: bool = False) -> Starlette:
    """Messages have the first route; everything else is FastAPI's."""

    @asynccontextmanager
    async def running(app: Starlette) -> AsyncIterator[None]:
        await exchange.courier.start()
        exchange.resume()
        exchange.stalls.start()
        yield
        exchange.stalls.stop()
        exchange.clock.stop()
        await exchange.courier.stop()
        exchange.store.close()

    app = FastAPI(title="Panier simulator", docs_url=None, redoc_url=None)
    app.add_exception_handler(GraphError, answer_error)
    app.add_exception_handler(ProblemError, answer_problem)
    entrance = Entrance(exchange, check_tokens)
    app.include_router(graph_routes(exchange, entrance, check_tokens))
    app.include_router(api_routes(exchange))
    app.include_router(control_routes(exchange))
    app.include_router(payment_routes(exchange))
    app.include_router(_probes(exchange))
    app.include_router(page_routes(exchange))
    app.mount("/static", OwnFiles(directory=STATIC))
    routes = [*message_routes(exchange, entrance), Mount("/", app)]
    return Starlette(routes=routes, lifespan=running, exception_handlers={GraphError: answer_error})


def _probes(exchange: Exchange) -> APIRouter:
    routes = APIRouter()

    @routes.get("/livez")
    async def livez() -> dict[str, bool]:
        return {"live": True}

    @routes.get("/readyz")
    async def readyz() -> JSONResponse:
        why = _why_not_ready(exchange)
        return JSONResponse({"ready": True} if not why else {"ready": False, "why": why}, 503 if why else 200)

    @routes.get("/status")
    async def status() -> dict[str, Any]:
        why = _why_not_ready(exchange)
        name = "simulator"
        return {"name": name, "version": version("panier-simulator"), "ready": not why, "why": why, "lag": {}}

    @routes.get("/metrics")
    async def metrics() -> PlainTextResponse:
        stats = exchange.courier.stats()
        lines = []
        for name in ("delivered", "attempts", "requests", "retried", "dropped"):
            lines.append(f"# TYPE panier_simulator_webhooks_{name}_total counter")
            lines.append(f"panier_simulator_webhooks_{name}_total {stats[name]}")
        for name in ("waiting", "failing"):
            lines.append(f"# TYPE panier_simulator_webhooks_{name} gauge")
            lines.append(f"panier_simulator_webhooks_{name} {stats[name]}")
        counts = exchange.counts.document()
        for name in ("received", "accepted"):
            lines.append(f"# TYPE panier_simulator_messages_{name}_total counter")
            lines.append(f"panier_simulator_messages_{name}_total {counts[name]}")
        lines.append("# TYPE panier_simulator_messages_refused_total counter")
        for cause, name in (("rule", "refused"), ("fault", "injected")):
            for code, count in counts[name].items():
                lines.append(f'panier_simulator_messages_refused_total{{cause="{cause}",code="{code}"}} {count}')
        return PlainTextResponse("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")

    return routes


def _why_not_ready(exchange: Exchange) -> str | None:
    return None if exchange.shops.by_number else "the shops file names no number"
