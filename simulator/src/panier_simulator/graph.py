"""The Graph API's routes under `/graph`: messages here, files, numbers and templates beside it. Answers are Meta's.

The routes of messages are plain ones of Starlette's: they are called a thousand times a second.
"""

import asyncio
import json
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from panier_simulator.entrance import Entrance, read_json
from panier_simulator.errors import GraphError
from panier_simulator.exchange import Accepted, Exchange
from panier_simulator.faults import CallPlan
from panier_simulator.graph_objects import object_routes
from panier_simulator.graph_templates import template_routes
from panier_simulator.graph_tokens import token_routes
from panier_simulator.requests import digits, judge

Json = dict[str, Any]
EARLY_SECONDS = 2.0  # an answer waits for its early status at most so long


def graph_routes(exchange: Exchange, entrance: Entrance, check_tokens: bool = False) -> APIRouter:
    """Everything but messages."""
    routes = APIRouter(prefix="/graph")
    token_routes(routes, exchange, entrance, check_tokens)
    template_routes(routes, exchange, entrance)
    object_routes(routes, exchange, entrance)
    return routes


def message_routes(exchange: Exchange, entrance: Entrance) -> list[Route]:
    calls = MessageCalls(exchange, entrance)
    path = "/graph/{version}/{phone_number_id}/"
    return [Route(path + name, calls.answer, methods=["POST"]) for name in ("messages", "marketing_messages")]


class MessageCalls:
    """`POST /{number}/messages`: judged, accepted, counted, and answered as far as the faults let it."""

    def __init__(self, exchange: Exchange, entrance: Entrance) -> None:
        self._exchange = exchange
        self._entrance = entrance

    async def answer(self, request: Request) -> Response:
        exchange, phone_number_id = self._exchange, request.path_params["phone_number_id"]
        exchange.counts.received += 1
        body: Json = {}
        try:
            shop, number = self._entrance.number(request, phone_number_id)
            marketing = request.url.path.endswith("/marketing_messages")
            given = await read_json(request)
            body = given if isinstance(given, dict) else {}
            plan = exchange.faults.call(phone_number_id, recipient_of(body)) if "status" not in body else CallPlan("")
            judged = judge(given, marketing=marketing)
            if "status" in judged:
                exchange.counts.receipts += 1
                exchange.read_by_shop(number, judged["message_id"], "typing_indicator" in judged)
                return JSONResponse({"success": True})
            accepted = exchange.accept(shop, number, judged, plan, getattr(request.state, "waited", 0.0))
        except GraphError as error:
            self._note_refusal(phone_number_id, body, error)
            raise
        exchange.counts.accepted(phone_number_id)
        await exchange.store.settled()
        return await self._after(request, plan, judged, accepted)

    async def _after(self, request: Request, plan: CallPlan, body: Json, accepted: Accepted) -> Response:
        """The answer to an accepted message, or what takes its place."""
        if plan.early and accepted.first is not None:
            await self._exchange.courier.taken(accepted.first, EARLY_SECONDS)
        if plan.slow_seconds:
            await asyncio.sleep(plan.slow_seconds)
        if plan.lost_answer:
            await _hang(request, self._exchange.faults.faults.lost_answer_seconds)
            return Response(status_code=504)
        if plan.broken_answer:
            return Response(status_code=500)
        content = json.dumps(self._document(body, accepted)).encode()
        return Response(content, media_type="application/json")

    def _document(self, body: Json, accepted: Accepted) -> Json:
        message = accepted.message
        customer = self._exchange.store.customer(message.customer)
        assert customer is not None
        if body.get("to") is not None:
            contact = {"input": body["to"], "wa_id": customer.wa_id}
        else:
            contact = {"input": body["recipient"], "user_id": customer.user_id}
        answer: Json = {"id": message.wamid}
        if body["type"] == "template":
            answer["message_status"] = "accepted"
        return {"messaging_product": "whatsapp", "contacts": [contact], "messages": [answer]}

    def _note_refusal(self, number: str, body: Json, error: GraphError) -> None:
        callback = body.get("biz_opaque_callback_data")
        self._exchange.note_refusal(number, recipient_of(body), callback if isinstance(callback, str) else None, error)


async def _hang(request: Request, seconds: float) -> None:
    """Say nothing until the caller has gone, or for so long."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    try:
        async with asyncio.timeout(seconds):
            await gone()
    except (TimeoutError, ClientDisconnect):
        return


def recipient_of(body: Json) -> str:
    """A phone number's digits or a user id; empty when the request names nobody."""
    if isinstance(to := body.get("to"), str):
        return digits(to)
    recipient = body.get("recipient")
    return recipient if isinstance(recipient, str) else ""


async def answer_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, GraphError)
    return JSONResponse(error.document(), error.http_status)
