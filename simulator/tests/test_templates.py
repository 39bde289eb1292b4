"""Templates: created, reviewed, paused; and every message judged by the template it names."""

from pathlib import Path
from typing import Any

import pytest
from panier_simulator.errors import GraphError
from panier_simulator.templates import check_message, judge_new, review

from .conftest import NUMBER, Door, Json, Simulator, running, settings, until
from .test_states import ACCOUNT, HEADERS, fields

PATH = f"/graph/v26.0/{ACCOUNT}/message_templates"
BODY = {"type": "BODY", "text": "Order {{1}} is {{2}} now.", "example": {"body_text": [["P-1", "ready"]]}}


def template(**more: Any) -> Json:
    return {"name": "order_news", "language": "en_US", "category": "UTILITY", "components": [BODY], **more}


def parameters(*texts: str) -> list[Json]:
    return [{"type": "text", "text": text} for text in texts]


def message(*texts: str, name: str = "order_news", language: str = "en_US", **more: Any) -> Json:
    components = [{"type": "body", "parameters": parameters(*texts)}, *more.pop("components", [])]
    content = {"name": name, "language": {"code": language}, "components": components}
    return {"messaging_product": "whatsapp", "to": "+33600000001", "type": "template", "template": content, **more}


async def create(simulator: Simulator, door: Door, **more: Any) -> str:
    """Its id, once it was reviewed."""
    before = len(fields(door, "message_template_status_update"))
    status, answer = await simulator.call("POST", PATH, json=template(**more), headers=HEADERS)
    assert (status, answer["status"]) == (200, "PENDING"), answer
    await simulator.call("POST", "/api/clock", json={"move_seconds": 2})
    await until(lambda: len(fields(door, "message_template_status_update")) > before)
    return str(answer["id"])


async def code(simulator: Simulator, body: Json) -> tuple[int, int]:
    status, answer = await simulator.graph(body)
    return status, answer.get("error", {}).get("code", 0)


async def test_lives_from_review_to_its_end(simulator: Simulator, door: Door) -> None:
    assert await code(simulator, message("P-1", "ready")) == (404, 132001)
    template_id = await create(simulator, door)
    (update,) = fields(door, "message_template_status_update")
    assert (update["event"], update["message_template_name"], update["reason"]) == ("APPROVED", "order_news", "NONE")
    assert await code(simulator, message("P-1", "ready")) == (200, 0)
    assert await code(simulator, message("P-1", "ready", language="fr")) == (404, 132001)
    assert await code(simulator, message("P-1", "ready", name="unknown")) == (404, 132001)
    assert await code(simulator, message(name="hello_world")) == (200, 0)
    for status, refusal in (("PAUSED", 132015), ("DISABLED", 132016), ("REJECTED", 132001)):
        changed = await simulator.call("PATCH", f"/api/templates/{template_id}", json={"status": status})
        assert changed[1]["status"] == status
        assert (await code(simulator, message("P-1", "ready")))[1] == refusal
        await until(lambda event=status: fields(door, "message_template_status_update")[-1]["event"] == event)
    assert (await simulator.call("DELETE", f"{PATH}?name=order_news", headers=HEADERS))[1] == {"success": True}
    assert (await simulator.call("DELETE", f"{PATH}?name=order_news", headers=HEADERS))[0] == 400


async def test_unchecked_the_first_steps_need_no_template(tmp_path: Path, door: Door) -> None:
    async with running(settings(tmp_path, door, simulator_check_templates=False)) as simulator:
        assert await code(simulator, message("P-1", "ready")) == (200, 0)
        await create(simulator, door)
        assert await code(simulator, message("P-1", "ready", name="unknown")) == (404, 132001)


async def test_a_template_is_counted_as_what_it_is(simulator: Simulator, door: Door) -> None:
    await create(simulator, door, category="MARKETING")
    customer = await simulator.customer()
    wamid = (await simulator.graph(message("P-1", "ready")))[1]["messages"][0]["id"]
    reports = await until(lambda: len(door.reports(wamid)) == 2 and door.reports(wamid))
    assert {report["pricing"]["category"] for report in reports} == {"marketing"}
    path = f"/api/customers/{customer['id']}/state"
    await simulator.call("PATCH", path, json={"trouble": 131050})
    assert await code(simulator, message("P-1", "ready")) == (400, 131050)
    assert await code(simulator, message(name="hello_world")) == (200, 0)


async def test_is_rejected_for_its_form_and_reviewed_again(simulator: Simulator, door: Door) -> None:
    adjacent = {**BODY, "text": "Order {{1}}{{2}} is here."}
    template_id = await create(simulator, door, components=[adjacent])
    (update,) = fields(door, "message_template_status_update")
    assert (update["event"], update["reason"]) == ("REJECTED", "INVALID_FORMAT")
    assert update["rejection_info"]["recommendation"]
    assert await code(simulator, message("P-1", "ready")) == (404, 132001)
    path = f"/graph/v26.0/{template_id}"
    assert (await simulator.call("POST", path, json={"components": [BODY]}, headers=HEADERS))[0] == 200
    await simulator.call("POST", "/api/clock", json={"move_seconds": 2})
    await until(lambda: len(fields(door, "message_template_status_update")) == 2)
    assert await code(simulator, message("P-1", "ready")) == (200, 0)


async def test_lists_pages_and_fields(simulator: Simulator, door: Door) -> None:
    for name in ("a", "b", "c"):
        await create(simulator, door, name=name)
    twice = await simulator.call("POST", PATH, json=template(name="a"), headers=HEADERS)
    assert (twice[1]["error"]["code"], twice[1]["error"]["error_subcode"]) == (100, 2388024)
    page = (await simulator.call("GET", f"{PATH}?limit=3&fields=name,status", headers=HEADERS))[1]
    assert [each["name"] for each in page["data"]] == ["hello_world", "a", "b"]
    assert page["data"][1].keys() == {"id", "name", "status"}
    rest = (await simulator.call("GET", page["paging"]["next"].removeprefix(simulator.url), headers=HEADERS))[1]
    assert [each["name"] for each in rest["data"]] == ["c"]
    assert "next" not in rest["paging"]
    named = (await simulator.call("GET", f"{PATH}?name=b", headers=HEADERS))[1]["data"]
    assert [each["status"] for each in named] == ["APPROVED"]
    shown = (await simulator.call("GET", f"/graph/v26.0/{named[0]['id']}", headers=HEADERS))[1]
    assert shown["components"][0]["text"] == BODY["text"]
    assert (await simulator.call("GET", f"{PATH}?limit=many", headers=HEADERS))[1]["error"]["code"] == 100
    assert (await simulator.call("GET", PATH))[0] == 401
    of_shop = (await simulator.call("GET", "/api/shops/boulangerie/templates"))[1]
    assert len(of_shop) == 4


async def test_needs_a_phone_number_for_authentication(simulator: Simulator, door: Door) -> None:
    await create(simulator, door, category="AUTHENTICATION")
    customer = await simulator.customer("Noa", None)
    body = message("P-1", "ready") | {"recipient": customer["user_id"]}
    del body["to"]
    assert await code(simulator, body) == (400, 131062)


@pytest.mark.parametrize(
    "wrong",
    [
        template(name="Order News"),
        template(language="english"),
        template(category="OTHER"),
        template(components=[]),
        template(components=[{"type": "FOOTER", "text": "f"}]),
        template(components=[{**BODY, "text": "x" * 1025}]),
        template(components=[{**BODY, "text": "{{1}} begins"}]),
        template(components=[{**BODY, "text": "ends with {{1}}"}]),
        template(components=[{**BODY, "text": "counts {{2}} first"}]),
        template(components=[{"type": "BODY", "text": "no example of {{1}} here"}]),
        template(components=[BODY, {"type": "FOOTER", "text": "by {{1}}.", "example": {}}]),
        template(components=[BODY, {"type": "HEADER", "format": "TEXT", "text": "{{1}} {{2}}", "example": {}}]),
        template(components=[BODY, {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "t" * 26}]}]),
        None,
    ],
)
def test_what_cannot_be_created(wrong: Any) -> None:
    with pytest.raises(GraphError) as refusal:
        judge_new(wrong)
    assert refusal.value.code == 100


def approved(*components: Json, **more: Any) -> Json:
    return {**judge_new(template(components=[*components], **more)), "id": "1", "status": "APPROVED"}


HEADER = {"type": "HEADER", "format": "TEXT", "text": "Hello {{1}}", "example": {"header_text": ["you"]}}
LINK = {"type": "BUTTONS", "buttons": [{"type": "URL", "text": "Open", "url": "https://shop.example/{{1}}"}]}
NAMED = {"type": "BODY", "text": "Order {{order}} is here.", "example": {"body_text_named_params": []}}


def sent(*components: Json) -> Json:
    return {"name": "n", "language": {"code": "en_US"}, "components": list(components)}


def part(kind: str, *values: Json, **more: Any) -> Json:
    return {"type": kind, "parameters": list(values), **more}


PICTURE = {"type": "image", "image": {"link": "https://shop.example/a.png"}}
TWO = parameters("P-1", "ready")
CASES = {
    "fits": (approved(BODY), sent(part("body", *TWO)), None),
    "too few parameters": (approved(BODY), sent(part("body", *TWO[:1])), 132000),
    "none at all": (approved(BODY), sent(), 132000),
    "too many": (approved(BODY), sent(part("body", *TWO, *TWO)), 132000),
    "a line break": (approved(BODY), sent(part("body", *parameters("a\nb", "c"))), 132018),
    "many spaces": (approved(BODY), sent(part("body", *parameters("a     b", "c"))), 132018),
    "an empty text": (approved(BODY), sent(part("body", *parameters("", "c"))), 131008),
    "a picture in the body": (approved(BODY), sent(part("body", PICTURE, TWO[0])), 132012),
    "too long with its parameters": (approved(BODY), sent(part("body", *parameters("x" * 1020, "c"))), 132005),
    "a header without its parameter": (approved(HEADER, BODY), sent(part("body", *TWO)), 132000),
    "a header that fits": (approved(HEADER, BODY), sent(part("header", TWO[0]), part("body", *TWO)), None),
    "a picture that is missing": (
        approved({"type": "HEADER", "format": "IMAGE"}, BODY),
        sent(part("body", *TWO)),
        132012,
    ),
    "a picture": (
        approved({"type": "HEADER", "format": "image"}, BODY),
        sent(part("header", PICTURE), part("body", *TWO)),
        None,
    ),
    "a link without its end": (approved(BODY, LINK), sent(part("body", *TWO)), 131008),
    "a link": (
        approved(BODY, LINK),
        sent(part("body", *TWO), part("button", TWO[0], sub_type="url", index="0")),
        None,
    ),
    "a button that is not there": (
        approved(BODY, LINK),
        sent(part("body", *TWO), part("button", TWO[0], sub_type="url", index=1)),
        132018,
    ),
    "a button of another kind": (
        approved(BODY, LINK),
        sent(part("body", *TWO), part("button", TWO[0], sub_type="quick_reply", index=0)),
        132012,
    ),
    "by name": (
        approved(NAMED, parameter_format="named"),
        sent(part("body", {**TWO[0], "parameter_name": "order"})),
        None,
    ),
    "by another name": (
        approved(NAMED, parameter_format="named"),
        sent(part("body", {**TWO[0], "parameter_name": "bill"})),
        132000,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_message_fits_its_template_or_is_refused(name: str) -> None:
    known, content, wanted = CASES[name]
    assert review(known) is None
    if wanted is None:
        check_message(known, content)
        return
    with pytest.raises(GraphError) as refusal:
        check_message(known, content)
    assert refusal.value.code == wanted, refusal.value.details


async def test_unknown_number_has_no_templates(simulator: Simulator) -> None:
    assert (await simulator.call("GET", f"/graph/v26.0/{NUMBER}/message_templates", headers=HEADERS))[0] == 400
