"""The Graph API's routes for message templates of an account. Answers are Meta's."""

from typing import Any

from fastapi import APIRouter, Request

from panier_simulator.entrance import Entrance, read_json, unknown
from panier_simulator.errors import GraphError
from panier_simulator.exchange import Exchange

Json = dict[str, Any]
PAGE = 25


def template_routes(routes: APIRouter, exchange: Exchange, entrance: Entrance) -> None:
    business = exchange.business

    @routes.post("/{version}/{account_id}/message_templates")
    async def create(version: str, account_id: str, request: Request) -> Json:
        shop = entrance.account(request, account_id)
        template = business.create_template(shop, await read_json(request))
        await exchange.store.settled()
        return {"id": template["id"], "status": template["status"], "category": template["category"]}

    @routes.get("/{version}/{account_id}/message_templates")
    async def listed(version: str, account_id: str, request: Request) -> Json:
        """Those that fit `name`, `status`, `language`, `category`; `limit` and `after` turn the pages."""
        entrance.account(request, account_id)
        query = request.query_params
        found = business.templates(account_id)
        for name in ("name", "status", "language", "category"):
            if wanted := query.get(name):
                found = [template for template in found if template[name] == wanted]
        first, limit = _whole(query.get("after", "0"), "after"), _whole(query.get("limit", str(PAGE)), "limit")
        page = found[first : first + limit]
        cursors = {"before": str(first), "after": str(first + len(page))}
        paging: Json = {"cursors": cursors}
        if first + len(page) < len(found):
            paging["next"] = str(request.url.include_query_params(after=cursors["after"]))
        return {"data": [_selected(template, query.get("fields")) for template in page], "paging": paging}

    @routes.delete("/{version}/{account_id}/message_templates")
    async def delete(version: str, account_id: str, request: Request) -> Json:
        entrance.account(request, account_id)
        name = request.query_params.get("name")
        if not name:
            raise GraphError(100, "The parameter name is required.")
        if not business.delete_templates(account_id, name, request.query_params.get("hsm_id")):
            raise GraphError(100, f"The account has no template {name}", subcode=2593002)
        return {"success": True}

    @routes.post("/{version}/{template_id}")
    async def edit(version: str, template_id: str, request: Request) -> Json:
        entrance.token(request)
        if business.template(template_id) is None:
            raise unknown(template_id)
        body = await read_json(request)
        business.edit_template(template_id, body if isinstance(body, dict) else {})
        return {"success": True}


def _whole(text: str, name: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise GraphError(100, f"Param {name} must be a whole number")
    return int(text)


def _selected(template: Json, fields: str | None) -> Json:
    """With `fields` only those, and always the id."""
    if not fields:
        return template
    names = {"id", *(name.strip() for name in fields.split(","))}
    return {name: value for name, value in template.items() if name in names}
