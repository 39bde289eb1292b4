"""A simulator on a port of its own, the shop's door beside it, and a small scripted shop behind that door."""

import asyncio
import hashlib
import hmac
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvicorn
from aiohttp import web
from panier_simulator.settings import Settings
from panier_simulator.web import build_app, build_exchange

ROOT = Path(__file__).parents[2]
BAKERY = ROOT / "examples" / "bakery" / "shops.toml"
NUMBER = "106540352242922"
SECRET = "test-secret"
PAYMENT_SECRET = "test-payment-secret"
Json = dict[str, Any]


async def until(condition: Callable[[], Any], seconds: float = 10) -> Any:
    """The condition's value once it is true; fails after `seconds`."""
    async with asyncio.timeout(seconds):
        while not (value := condition()):  # noqa: ASYNC110 - what is waited for has no event to set
            await asyncio.sleep(0.01)
        return value


class Door:
    """The shop's webhook addresses: records what is posted, answers `status`, calls `on_message`."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, str, bytes]] = []  # path, signature, body
        self.statuses: list[int] = []  # answers to come, before 200
        self.on_message: Callable[[Json], Awaitable[None]] | None = None
        self.url = ""

    async def receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        signature = request.headers.get("X-Hub-Signature-256") or request.headers.get("X-Panier-Signature", "")
        self.posts.append((request.path, signature, body))
        if self.statuses and (status := self.statuses.pop(0)) != 200:
            return web.Response(status=status)
        for value in values([body]):
            for message in value.get("messages", []) if self.on_message else ():
                await self.on_message(message)
        return web.Response()

    def documents(self) -> list[Json]:
        """Whole bodies of the WhatsApp door."""
        return [json.loads(body) for path, _, body in self.posts if path == "/webhooks/whatsapp"]

    def values(self) -> list[Json]:
        """What was posted to the WhatsApp door, repeats included."""
        return values([body for path, _, body in self.posts if path == "/webhooks/whatsapp"])

    def messages(self) -> list[Json]:
        return [message for value in self.values() for message in value.get("messages", [])]

    def reports(self, wamid: str) -> list[Json]:
        reports = [report for value in self.values() for report in value.get("statuses", [])]
        return [report for report in reports if report["id"] == wamid]

    def payments(self) -> list[Json]:
        return [json.loads(body) for path, _, body in self.posts if path == "/webhooks/payments/simulated"]


def values(bodies: list[bytes]) -> list[Json]:
    documents = [json.loads(body) for body in bodies]
    return [
        change["value"] for document in documents for entry in document.get("entry", []) for change in entry["changes"]
    ]


def signed(body: bytes, secret: str) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    door = Door()
    app = web.Application(client_max_size=2**24)
    app.router.add_post("/{path:.*}", door.receive)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    door.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield door
    await runner.cleanup()


class Simulator:
    """A client of a running simulator: `graph` as a shop, the rest as customers and tests."""

    def __init__(self, url: str, session: aiohttp.ClientSession, exchange: Any) -> None:
        self.url = url
        self.session = session
        self.exchange = exchange

    async def call(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        async with self.session.request(method, self.url + path, **more) as response:
            is_json = "json" in response.headers.get("Content-Type", "")
            return response.status, await response.json() if is_json else await response.text()

    async def graph(self, body: Any, number: str = NUMBER, what: str = "messages") -> tuple[int, Any]:
        headers = {"Authorization": "Bearer token"}
        return await self.call("POST", f"/graph/v26.0/{number}/{what}", json=body, headers=headers)

    async def customer(self, name: str = "Camille", wa_id: str | None = "33600000001") -> Json:
        status, customer = await self.call("POST", "/api/customers", json={"name": name, "wa_id": wa_id})
        assert status == 201, customer
        return customer

    async def act(self, customer: Json, action: Json, expect: int = 201) -> Json:
        path = f"/api/customers/{customer['id']}/messages?number={NUMBER}"
        status, message = await self.call("POST", path, json=action)
        assert status == expect, message
        return message

    async def chat(self, customer: Json, after: int = 0, wait: float = 0) -> list[Json]:
        query = f"number={NUMBER}&after={after}&wait={wait}"
        return (await self.call("GET", f"/api/customers/{customer['id']}/chat?{query}"))[1]


def settings(folder: Path, door: Door, **more: Any) -> Settings:
    return Settings(
        **{
            "simulator_data": folder,
            "simulator_webhook_url": f"{door.url}/webhooks/whatsapp",
            "simulator_payment_webhook_url": f"{door.url}/webhooks/payments/simulated",
            "simulator_delivered_after_seconds": 0.01,
            "shops": BAKERY,
            "meta_app_secret": f"{SECRET},older",
            "simulated_payment_secret": PAYMENT_SECRET,
            **more,
        }
    )


@asynccontextmanager
async def running(chosen: Settings) -> AsyncIterator[Simulator]:
    """A simulator with these settings, served on a free port until the block ends."""
    exchange = build_exchange(chosen)
    app = build_app(exchange, chosen.simulator_check_tokens)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started or serving.done())
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        async with aiohttp.ClientSession() as session:
            yield Simulator(url, session, exchange)
    finally:
        exchange.hub.close()
        server.should_exit = True
        await serving


@pytest.fixture
async def simulator(tmp_path: Path, door: Door) -> AsyncIterator[Simulator]:
    async with running(settings(tmp_path, door)) as simulator:
        yield simulator


class Bakery:
    """A shop of a few lines behind the door: it answers each kind of message by the Graph API."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.order_id = "5b0e5a52-6a3e-4a53-9f0e-4e6c2b8d9a10"

    async def answer(self, message: Json) -> None:
        to = {"to": "+" + message["from"]} if "from" in message else {"recipient": message["from_user_id"]}
        read = {"messaging_product": "whatsapp", "status": "read", "message_id": message["id"]}
        await self.simulator.graph(read)
        for content in self.contents(message):
            body = {"messaging_product": "whatsapp", **to, **content}
            status, answer = await self.simulator.graph(body)
            assert status == 200, answer

    def contents(self, message: Json) -> list[Json]:
        match message:
            case {"type": "text", "context": {"referred_product": {"product_retailer_id": sku}}}:
                return [product(sku, "Oui, il en reste ! Yes, it is *available*.")]
            case {"type": "text", "text": {"body": "menu"}}:
                return [menu()]
            case {"type": "text", "text": {"body": "livraison"}}:
                return [location_request()]
            case {"type": "text"}:
                return greeting()
            case {"type": "order", "order": order}:
                return [summary(order)]
            case {"type": "interactive", "interactive": {"button_reply": {"id": "checkout:start"}}}:
                return [pay(f"{self.simulator.url}/pay/EUR/880/{self.order_id}")]
            case {"type": "interactive", "interactive": {"list_reply": {"id": reply}}}:
                return [product_list(reply.rpartition(":")[2])]
            case {"type": "location"}:
                return [text("Merci, c’est noté. ~4,50 €~ livraison offerte _dès 40 €_.")]
            case _:
                return [text("…")]


def interactive(kind: str, body: str, action: Json, **more: Any) -> Json:
    content = {"type": kind, "body": {"text": body}, "action": action, **more}
    return {"type": "interactive", "interactive": content}


def text(body: str) -> Json:
    return {"type": "text", "text": {"body": body}}


def buttons(*replies: tuple[str, str]) -> Json:
    return {"buttons": [{"type": "reply", "reply": {"id": key, "title": title}} for key, title in replies]}


def greeting() -> list[Json]:
    body = "Bonjour ! Bienvenue à la *Boulangerie du Port*. Tout est cuit ce matin."
    parameters = {"thumbnail_product_retailer_id": "croissant"}
    replies = buttons(("catalog:menu", "La carte"), ("cart:show", "Mon panier"), ("checkout:orders", "Mes commandes"))
    return [
        interactive("catalog_message", body, {"name": "catalog_message", "parameters": parameters}),
        interactive("button", "Que puis-je faire pour vous ?", replies, footer={"text": "Ouvert de 7 h à 19 h 30"}),
    ]


def menu() -> Json:
    names = ["Viennoiseries", "Pains", "Pâtisseries", "Tartes et gâteaux", "Salé", "Boissons"]
    rows = [{"id": f"catalog:collection:{name}", "title": name, "description": "Voir les prix"} for name in names]
    action = {"button": "Les rayons", "sections": [{"title": "La carte", "rows": rows}]}
    return interactive("list", "Choisissez un rayon de la boulangerie.", action)


def product(sku: str, body: str) -> Json:
    return interactive("product", body, {"catalog_id": "194836987003835", "product_retailer_id": sku})


def product_list(name: str) -> Json:
    skus = ["croissant", "pain-au-chocolat", "pain-aux-raisins", "brioche-sucre", "chausson-pommes"]
    sections = [{"title": name[:24], "product_items": [{"product_retailer_id": sku} for sku in skus]}]
    action = {"catalog_id": "194836987003835", "sections": sections}
    header = {"type": "text", "text": name}
    return interactive("product_list", "Voici nos douceurs du matin.", action, header=header)


def summary(order: Json) -> Json:
    items = order["product_items"]
    lines = [f"{item['quantity']} × {item['product_retailer_id']}" for item in items]
    body = "*Votre panier*\n" + "\n".join(lines)
    replies = buttons(("checkout:start", "Commander"), ("cart:edit", "Modifier"), ("catalog:menu", "Continuer"))
    return interactive("button", body, replies)


def pay(url: str) -> Json:
    action = {"name": "cta_url", "parameters": {"display_text": "Payer 8,80 €", "url": url}}
    return interactive("cta_url", "Commande *P-1042*\nTotal : 8,80 €, à retirer sur place.", action)


def location_request() -> Json:
    return interactive("location_request_message", "Où devons-nous livrer ?", {"name": "send_location"})


@pytest.fixture
def bakery(simulator: Simulator, door: Door) -> Bakery:
    bakery = Bakery(simulator)
    door.on_message = bakery.answer
    return bakery


@pytest.fixture(scope="session")
def chromium() -> str:
    path = shutil.which("chromium")
    assert path, "The browser tests need Debian's chromium: apt-get install chromium"
    return path
