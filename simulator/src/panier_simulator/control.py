"""What tests and load drivers steer and look at, under `/api`: faults, the clock, states, and what came in."""

from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Body, Query
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from panier_simulator.exchange import Exchange
from panier_simulator.faults import NONE, PRESETS, Faults, Scripted
from panier_simulator.numbers import CustomerState, NumberState
from panier_simulator.problems import ProblemError, known_customer, known_number, known_shop

Json = dict[str, Any]
After = Annotated[int, Query(ge=0)]
State = TypeVar("State", bound=BaseModel)
Limit = Annotated[int, Query(ge=1, le=50_000)]


class Move(BaseModel):
    """How far the clock goes ahead, at most a year at once."""

    model_config = ConfigDict(extra="forbid")

    move_seconds: float = Field(ge=0, le=366 * 86_400)


class TemplateStatus(BaseModel):
    model_config = ConfigDict(extra="forbid")

    status: Literal["APPROVED", "REJECTED", "PAUSED", "DISABLED"]
    reason: str | None = None


def control_routes(exchange: Exchange) -> APIRouter:
    routes = APIRouter(prefix="/api")
    _fault_routes(routes, exchange)
    _clock_routes(routes, exchange)
    _state_routes(routes, exchange)
    _record_routes(routes, exchange)
    return routes


def _fault_routes(routes: APIRouter, exchange: Exchange) -> None:
    faults = exchange.faults

    def document() -> Json:
        scripted = [script.model_dump(exclude_none=True) for script in faults.scripted]
        return {"faults": faults.faults.model_dump(), "scripted": scripted, "struck": dict(faults.counts)}

    def use(chosen: Faults) -> Json:
        faults.faults = chosen
        exchange.store.keep("faults", chosen.model_dump())
        return document()

    @routes.get("/faults")
    async def show() -> Json:
        return document()

    @routes.put("/faults")
    async def replace(chosen: Faults) -> Json:
        """These faults and no others from now on; they outlast a restart."""
        return use(chosen)

    @routes.put("/faults/{preset}")
    async def use_preset(preset: str, changes: Annotated[Json | None, Body()] = None) -> Json:
        if preset not in PRESETS:
            raise ProblemError(404, "unknown_preset", f"A preset is one of {', '.join(PRESETS)}")
        try:
            return use(Faults.model_validate({**PRESETS[preset].model_dump(), **(changes or {})}))
        except ValidationError as error:
            raise ProblemError(422, "no_such_fault", str(error.errors(include_url=False)[0]["msg"])) from None

    @routes.delete("/faults")
    async def clear() -> Json:
        """No faults, nothing scripted, and their counts at zero."""
        faults.scripted.clear()
        faults.counts.clear()
        return use(NONE)

    @routes.post("/faults/next", status_code=201)
    async def script(script: Scripted) -> Json:
        """What the next calls meet, before any share is looked at."""
        faults.scripted.append(script)
        return document()


def _clock_routes(routes: APIRouter, exchange: Exchange) -> None:
    def document() -> Json:
        return {"now": exchange.clock.now(), "ahead_seconds": exchange.clock.ahead_seconds}

    @routes.get("/clock")
    async def show() -> Json:
        return document()

    @routes.post("/clock")
    async def move(by: Move) -> Json:
        """Go ahead; what is due by then happens at once. The clock stays ahead after a restart."""
        exchange.clock.move(by.move_seconds)
        exchange.store.keep("clock", exchange.clock.ahead_seconds)
        return document()


def _state_routes(routes: APIRouter, exchange: Exchange) -> None:
    @routes.get("/numbers/{number}")
    async def number_state(number: str) -> Json:
        known_number(exchange, number)
        return exchange.business.number(number).model_dump()

    @routes.patch("/numbers/{number}")
    async def change_number(number: str, changes: Annotated[Json, Body()]) -> Json:
        """Meta changes what a number may do, and tells the shop of it."""
        shop, changed = known_number(exchange, number)
        state = _changed(NumberState, exchange.business.number(number).model_dump(), changes)
        exchange.business.change_number(shop, changed, state)
        return state.model_dump()

    @routes.patch("/customers/{customer_id}/state")
    async def change_customer(customer_id: str, changes: Annotated[Json, Body()]) -> Json:
        """What messages to this customer end with."""
        customer = known_customer(exchange, customer_id)
        state = _changed(CustomerState, exchange.store.customer_state(customer.id), changes)
        exchange.store.set_customer_state(customer.id, state.model_dump())
        return state.model_dump()

    @routes.get("/shops/{shop_id}/templates")
    async def templates(shop_id: str) -> list[Json]:
        return exchange.business.templates(known_shop(exchange, shop_id).account_id)

    @routes.patch("/templates/{template_id}")
    async def change_template(template_id: str, change: TemplateStatus) -> Json:
        """Meta approves, rejects, pauses or disables a template, and tells the shop of it."""
        if exchange.business.template(template_id) is None:
            raise ProblemError(404, "unknown_template", "No template has this id")
        exchange.business.set_template_status(template_id, change.status, change.reason)
        return exchange.business.template(template_id) or {}


def _record_routes(routes: APIRouter, exchange: Exchange) -> None:
    @routes.get("/messages")
    async def accepted(number: str | None = None, after: After = 0, limit: Limit = 1000) -> list[Json]:
        """Messages of shops in the order in which they were accepted, without contents; `after` is a `seq`."""
        return exchange.store.accepted(number, after, limit)

    @routes.get("/refusals")
    async def refusals(number: str | None = None, after: After = 0, limit: Limit = 1000) -> list[Json]:
        """Messages that were refused, with code and reason; `injected` ones broke no rule."""
        return exchange.store.refusals(number, after, limit)

    @routes.get("/counts")
    async def counts() -> Json:
        return exchange.counts.document()

    @routes.delete("/counts")
    async def clear_counts() -> Json:
        exchange.counts.clear()
        return exchange.counts.document()


def _changed(kind: type[State], before: Json, changes: Json) -> State:
    try:
        return kind.model_validate({**before, **changes})
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise ProblemError(422, "no_such_state", f"{place}: {problem['msg']}") from None
