"""The phone in the browser: its page, scripts, styles and the pictures of products. No outside requests."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from panier_simulator.exchange import Exchange
from panier_simulator.problems import ProblemError

STATIC = Path(__file__).parent / "static"
# A page runs no script but its own, and names a message only by text, never by markup.
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
}


class OwnFiles(StaticFiles):
    """Files that a browser asks for again each time (answered 304 when they have not changed)."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


def page_routes(exchange: Exchange) -> APIRouter:
    routes = APIRouter()

    @routes.get("/")
    async def phone() -> FileResponse:
        return FileResponse(STATIC / "index.html", headers=PAGE_HEADERS)

    @routes.get("/pictures/{shop_id}/{name}")
    async def picture(shop_id: str, name: str) -> Response:
        """Only files that a product of the catalogue names, so that no path can lead elsewhere."""
        shop = exchange.shops.all.get(shop_id)
        for product in shop.products.values() if shop else ():
            if product.picture and product.picture.name == name:
                return FileResponse(product.picture)
        raise ProblemError(404, "unknown_picture", "No product of this shop has this picture")

    return routes
