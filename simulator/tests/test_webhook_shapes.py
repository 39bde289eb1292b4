"""Every webhook that the simulator posts has the shape of those that Meta and others recorded.

Each key of ours must be in the corpus with the same type, at the same place; and a key that every recorded
webhook of a kind has must be in ours of that kind.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import NUMBER, Bakery, Door, Json, Simulator, text, until
from .test_states import change
from .test_templates import BODY, create, message

CORPUS = Path(__file__).parents[2] / "tests" / "fixtures" / "whatsapp"
TO = {"messaging_product": "whatsapp", "to": "+33600000001"}
# What no recorded webhook shows: as Meta's pages on business-scoped user ids, contacts and payments have it.
ALSO = {
    "messages/value.statuses[].biz_opaque_callback_data": "str",
    "messages/value.statuses[].recipient_user_id": "str",
    "messages/value.statuses[].pricing.type": "str",
    "messages/value.contacts[].user_id": "str",
    "messages/value.messages[].from_user_id": "str",
}
GONE = {"conversation"}  # Meta leaves it out since v24.0
# Kinds that the corpus lacks, with the keys of Meta's reference page.
DOCUMENTED = {
    "phone_number_quality_update": {
        *("display_phone_number", "event", "current_limit", "max_daily_conversations_per_business"),
    },
}


def envelopes(document: Any) -> Iterator[Json]:
    """The webhooks of a recorded file, which may hold more than one."""
    if isinstance(document, dict):
        if document.get("object") == "whatsapp_business_account":
            yield document
        else:
            for each in document.values():
                yield from envelopes(each)
    elif isinstance(document, list):
        for each in document:
            yield from envelopes(each)


def recorded() -> list[Json]:
    files = [path for path in CORPUS.rglob("*.json") if "requests" not in path.parts]
    return [envelope for path in files for envelope in envelopes(json.loads(path.read_text(encoding="utf-8")))]


def places(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """Each place below a value with the name of its type."""
    kind = {"int": "number", "float": "number"}.get(type(value).__name__, type(value).__name__)
    yield place, kind
    if isinstance(value, dict):
        for key, each in value.items():
            yield from places(each, f"{place}.{key}")
    elif isinstance(value, list):
        for each in value:
            yield from places(each, f"{place}[]")


def changes(documents: list[Json]) -> Iterator[Json]:
    for document in documents:
        for entry in document["entry"]:
            yield from entry["changes"]


def parts(change: Json) -> Iterator[tuple[str, Json]]:
    """The messages and statuses of a change by kind, or its whole value."""
    value = change["value"]
    for item in value.get("messages", []) if change["field"] == "messages" else ():
        content = item.get(item.get("type"), {})
        finer = f"/{content['type']}" if item.get("type") == "interactive" and "type" in content else ""
        yield f"message {item.get('type')}{finer}", item
    for item in value.get("statuses", []) if change["field"] == "messages" else ():
        yield f"status {item['status']}", item
    if change["field"] != "messages":
        event = value.get("event", "")
        yield f"{change['field']} {event}", value


@pytest.fixture(scope="module")
def known() -> dict[str, set[str]]:
    """The types of each place of the corpus."""
    found: dict[str, set[str]] = defaultdict(set)
    for document in recorded():
        for entry in document["entry"]:
            for key in entry:
                found[f"entry.{key}"].add("")
    for each in changes(recorded()):
        for place, kind in places(each["value"], f"{each['field']}/value"):
            found[place].add(kind)
    for place, kind in ALSO.items():
        found[place].add(kind)
    return found


@pytest.fixture(scope="module")
def always() -> dict[str, set[str]]:
    """By kind, the keys that each of at least two recorded ones has."""
    kinds: dict[str, list[set[str]]] = defaultdict(list)
    for each in changes(recorded()):
        for kind, item in parts(each):
            kinds[kind].append(set(item))
    return {kind: set.intersection(*keys) - GONE for kind, keys in kinds.items() if len(keys) > 1}


ACTIONS = [
    {"text": "menu"},
    {"press": "catalog:collection:Pains"},
    {"text": "hello"},
    {"press": "cart:show", "force": True},
    {"cart": [{"sku": "croissant", "quantity": 2}, {"sku": "pain-au-chocolat", "quantity": 1}], "text": "please"},
    {"location": {"latitude": 48.1, "longitude": -1.6, "name": "Harbour", "address": "1 quay"}},
    {"product_question": {"sku": "croissant", "text": "still warm?"}},
    *({"media": {"kind": kind}} for kind in ("image", "video", "audio", "sticker")),
    {"media": {"kind": "document", "filename": "list.pdf", "caption": "my list"}},
    {"contacts": [{"name": {"formatted_name": "A. Baker"}, "phones": [{"phone": "+1 555", "type": "WORK"}]}]},
]


async def everything(simulator: Simulator, door: Door) -> None:
    """Have the simulator post every kind of webhook that it knows."""
    customer = await simulator.customer()
    for action in ACTIONS:
        before = len(door.messages())
        await simulator.act(customer, action)
        await until(lambda before=before: len(door.messages()) > before)
        await until(lambda: simulator.exchange.courier.stats()["waiting"] == 0)  # the door has done its part
    wamid = (await simulator.graph(TO | {"biz_opaque_callback_data": "m-1"} | text("hi")))[1]["messages"][0]["id"]
    await until(lambda: len(door.reports(wamid)) == 2)
    await simulator.call("POST", f"/api/customers/{customer['id']}/read", json={"number": NUMBER})
    await simulator.act(customer, {"reaction": {"message_id": wamid, "emoji": "👍"}, "reply_to": wamid})
    await simulator.call("PATCH", f"/api/customers/{customer['id']}/state", json={"trouble": 131026, "by_status": True})
    await simulator.graph(TO | text("lost"))
    await create(simulator, door)
    await create(simulator, door, name="rejected", components=[{**BODY, "text": "At {{1}}{{2}} now."}])
    await simulator.graph(message("P-1", "ready"))
    for state in ({"messages_per_second": 1000}, {"quality": "RED"}):
        await change(simulator, **state)
    for trouble in (131031, 131048, 368, None):
        await change(simulator, trouble=trouble)
    await until(lambda: simulator.exchange.courier.stats()["waiting"] == 0)


async def test_every_key_is_metas(
    simulator: Simulator, bakery: Bakery, door: Door, known: dict[str, set[str]], always: dict[str, set[str]]
) -> None:
    await everything(simulator, door)
    wrong: set[str] = set()
    seen: set[str] = set()
    for document in door.documents():
        assert document["object"] == "whatsapp_business_account"
        for entry in document["entry"]:
            wrong |= {f"entry.{key}" for key in entry if f"entry.{key}" not in known}
            assert isinstance(entry["id"], str)
        for each in changes([document]):
            if each["field"] in DOCUMENTED:
                assert set(each["value"]) == DOCUMENTED[each["field"]]
                continue
            for place, kind in places(each["value"], f"{each['field']}/value"):
                if kind not in known.get(place, ()):
                    wrong.add(f"{place} is {kind}, not {sorted(known.get(place, ()))}")
            for kind, item in parts(each):
                seen.add(kind)
                missing = always.get(kind, set()) - set(item)
                if missing:
                    wrong.add(f"{kind} lacks {sorted(missing)}")
    assert not wrong
    assert {"status sent", "status delivered", "status read", "status failed"} <= seen
    assert {"message order", "message interactive/button_reply", "message interactive/list_reply"} <= seen
    assert {"message_template_status_update APPROVED", "message_template_status_update REJECTED"} <= seen
    assert len(seen) >= 20, sorted(seen)


def test_the_corpus_is_there(known: dict[str, set[str]], always: dict[str, set[str]]) -> None:
    assert len(recorded()) > 100
    assert len(known) > 200
    assert {"id", "status", "timestamp"} <= always["status sent"]
