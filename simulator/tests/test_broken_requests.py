"""Meta's own request examples, broken in every place one by one: refused with the code that says what is wrong.

And whatever is posted, the answer is one of Meta's refusals, never a fault of the simulator's own.
"""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st
from panier_simulator.errors import GraphError
from panier_simulator.requests import judge

from .conftest import Json, Simulator
from .test_conformance import EXAMPLES, example

MESSAGES = {path.stem: path for path in EXAMPLES if path.stem.startswith("messages__")}
# Keys that a message can do without, or whose absence leaves another message that Meta takes.
OPTIONAL = {
    *("recipient_type", "type", "context", "preview_url", "header", "footer", "caption", "filename", "policy"),
    *("typing_indicator", "description", "name", "address", "components", "sub_text", "catalog_id", "expiration"),
    *("thumbnail_product_retailer_id", "mode", "flow_action", "flow_action_payload", "flow_token", "parameters"),
    *("country_of_origin", "importer_name", "importer_address", "sale_amount", "shipping", "discount", "tax"),
    *("payment_settings", "payment_type", "payment_configuration", "title", "retailer_id", "voice", "language"),
    *("discount_program_name", "flow_message_version", "screen", "data", "status"),
}
# Below these Meta's examples have what is checked only by what it belongs to, or what is open.
OPEN = {"components", "contacts", "flow_action_payload", "payment_settings", "parameters", "importer_address"}


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every key of a request, outside of what is open."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield (*path, key)
            if key not in OPEN:
                yield from places(each, (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from places(each, (*path, index))


def inside(body: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        body = body[step]
    return body


def code_of(body: Any) -> int:
    """0 when it is taken."""
    try:
        judge(body)
    except GraphError as error:
        return error.code
    return 0


def broken(body: Json) -> Iterator[tuple[str, Json, set[int]]]:
    """What was done, the request, and the codes that say so."""
    for path in places(body):
        name = ".".join(str(step) for step in path)
        parent, key = path[:-1], path[-1]
        without = copy.deepcopy(body)
        del inside(without, parent)[key]
        if key == "body" and inside(body, parent).get("type") == "product":
            continue  # a single product needs no words
        if key not in OPTIONAL and not isinstance(inside(body, parent), list):
            yield f"without {name}", without, {131008, 131009, 100}
        if key in OPTIONAL - {"name"}:
            continue
        wrong = copy.deepcopy(body)
        inside(wrong, parent)[key] = [] if not isinstance(inside(body, path), list) else "a text"
        yield f"{name} of another type", wrong, {131009, 100, 131008}


@pytest.mark.parametrize("name", MESSAGES)
def test_each_broken_place_is_refused(name: str) -> None:
    body = example(MESSAGES[name])
    assert code_of(body) == 0
    cases = list(broken(body))
    assert len(cases) >= 4
    found = {what: (code, wanted) for what, request, wanted in cases if (code := code_of(request)) not in wanted}
    assert found == {}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_key_that_nobody_knows_is_named(name: str) -> None:
    body = example(MESSAGES[name])
    if "status" in body:
        return
    with pytest.raises(GraphError, match="Unexpected key") as refusal:
        judge({**body, "colour": "red"})
    assert refusal.value.code == 100


def test_what_is_known_but_cannot_be_sent() -> None:
    for kind in ("poll", "order", "system", "hsm"):
        assert code_of({"messaging_product": "whatsapp", "to": "+33600000001", "type": kind, kind: {}}) == 131051
    for kind in ([], {}, 7, None, "telegram"):
        assert code_of({"messaging_product": "whatsapp", "to": "+33600000001", "type": kind}) in {100, 131008}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def spoiled(draw: st.DrawFn) -> Json:
    """A request example with anything at all in one or two of its places."""
    body = example(MESSAGES[draw(st.sampled_from(sorted(MESSAGES)))])
    for _ in range(draw(st.integers(1, 2))):
        paths = list(places(body)) or [()]
        path = draw(st.sampled_from(paths))
        if path:
            inside(body, path[:-1])[path[-1]] = draw(JSON)
    return body


@profile(max_examples=400, suppress_health_check=list(HealthCheck))
@given(body=st.one_of(spoiled(), JSON))
def test_anything_is_taken_or_refused(body: Any) -> None:
    try:
        judge(body)
    except GraphError as error:
        json.dumps(error.document())


@profile(max_examples=60, suppress_health_check=list(HealthCheck))
@given(body=spoiled())
async def test_anything_is_answered(shared: Simulator, body: Json) -> None:
    status, answer = await shared.graph(body)
    assert status == 200 or answer["error"]["code"] > 0, answer
    assert status != 500 or answer["error"]["code"] in {131016}


@pytest.fixture
async def shared(simulator: Simulator) -> Simulator:
    customer = await simulator.customer(wa_id="16505551234")
    await simulator.act(customer, {"text": "hello"})
    return simulator
