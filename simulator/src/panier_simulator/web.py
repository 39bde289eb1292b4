"""The application as a whole: builds the parts, adds probes, page and pictures. One port serves it all."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse, PlainTextResponse

from panier_simulator.api import ProblemError, answer_problem, api_routes
from panier_simulator.courier import Courier, Target
from panier_simulator.errors import GraphError
from panier_simulator.exchange import Exchange
from panier_simulator.graph import answer_error, graph_routes
from panier_simulator.hub import Hub
from panier_simulator.limits import Rates
from panier_simulator.pages import STATIC, OwnFiles, page_routes
from panier_simulator.payments import payment_routes
from panier_simulator.settings import Settings
from panier_simulator.shops import read_shops
from panier_simulator.store import Store


def build_exchange(settings: Settings) -> Exchange:
    store = Store(settings.simulator_data)
    shops = read_shops(settings.shops)
    for shop_id, feed in store.feeds():
        if shop_id in shops.all:
            shops.all[shop_id].load(feed)
    key = settings.simulated_payment_secret.get_secret_value().encode()
    targets = {
        "whatsapp": Target(settings.simulator_webhook_url, settings.signing_secret, "X-Hub-Signature-256"),
        "payment": Target(settings.simulator_payment_webhook_url, key, "X-Panier-Signature"),
    }
    courier = Courier(
        store,
        targets,
        settings.simulator_webhooks_parallel,
        settings.simulator_webhook_timeout_seconds,
        settings.simulator_webhook_queue,
    )
    rates = Rates(settings.simulator_pair_rate, settings.simulator_messages_per_second)
    delay = settings.simulator_delivered_after_seconds
    return Exchange(store, shops, courier, Hub(), rates, settings.simulator_window, delay)


def build_app(exchange: Exchange, check_tokens: bool = False) -> FastAPI:
    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        await exchange.courier.start()
        exchange.resume()
        yield
        await exchange.courier.stop()
        exchange.store.close()

    app = FastAPI(title="Panier simulator", lifespan=running, docs_url=None, redoc_url=None)
    app.add_exception_handler(GraphError, answer_error)
    app.add_exception_handler(ProblemError, answer_problem)
    app.include_router(graph_routes(exchange, check_tokens))
    app.include_router(api_routes(exchange))
    app.include_router(payment_routes(exchange))
    app.include_router(_probes(exchange))
    app.include_router(page_routes(exchange))
    app.mount("/static", OwnFiles(directory=STATIC))
    return app


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
        for name in ("delivered", "attempts", "retried", "dropped"):
            lines.append(f"# TYPE panier_simulator_webhooks_{name}_total counter")
            lines.append(f"panier_simulator_webhooks_{name}_total {stats[name]}")
        for name in ("waiting", "failing"):
            lines.append(f"# TYPE panier_simulator_webhooks_{name} gauge")
            lines.append(f"panier_simulator_webhooks_{name} {stats[name]}")
        return PlainTextResponse("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")

    return routes


def _why_not_ready(exchange: Exchange) -> str | None:
    return None if exchange.shops.by_number else "the shops file names no number"
