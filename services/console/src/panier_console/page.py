"""The shop's page on the public port: static files with the headers that keep browsers strict."""

from importlib import resources

from fastapi import FastAPI, Request, Response
from panier_common.connections import Bounds
from panier_common.web import NO_TELEMETRY, Timed

# Nothing is posted to the page.
PAGE_BOUNDS = Bounds(connections=1000, body_bytes=0, request_seconds=15.0)
# No script, no frame, nothing from elsewhere; put on every answer by the server.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
LANGUAGES = ("en", "fr")


def page_app() -> FastAPI:
    """The application; its files are read once."""
    folder = resources.files("panier_console") / "pages"
    pages = {language: (folder / f"{language}.html").read_bytes() for language in LANGUAGES}
    style = (folder / "style.css").read_bytes()
    app = FastAPI(title="panier-console-page", docs_url=None, redoc_url=None, openapi_url=None, telemetry=NO_TELEMETRY)
    app.add_middleware(Timed)

    @app.get("/")
    async def page(request: Request) -> Response:
        language = wanted_language(request.headers.get("accept-language", ""))
        headers = {"Content-Language": language, "Vary": "Accept-Language"}
        return Response(pages[language], media_type="text/html", headers=headers)

    @app.get("/style.css")
    async def stylesheet() -> Response:
        return Response(style, media_type="text/css")

    return app


def wanted_language(accepted: str) -> str:
    """The first language of `Accept-Language` that the page has; browsers name them in order."""
    for part in accepted.split(","):
        language = part.split(";")[0].strip().partition("-")[0].lower()
        if language in LANGUAGES:
            return language
    return LANGUAGES[0]
