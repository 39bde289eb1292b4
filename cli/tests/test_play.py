"""A customer's script, what a chat looks like without a phone, and playing one against a simulator."""

import json
from pathlib import Path
from typing import Any

import pytest
from panier_cli.commands.simulate import STORY
from panier_cli.errors import Refused
from panier_cli.play import chat, story

from .conftest import Panier
from .fake_services import FakeServices, Request

BUTTONS = {
    "type": "interactive",
    "interactive": {
        "type": "button",
        "body": {"text": "Total 8,80 €"},
        "action": {"buttons": [{"type": "reply", "reply": {"id": "checkout:confirm:7", "title": "Confirmer"}}]},
    },
}
LINK = {
    "type": "interactive",
    "interactive": {
        "type": "cta_url",
        "body": {"text": "À payer"},
        "action": {
            "name": "cta_url",
            "parameters": {"display_text": "Payer", "url": "http://pay.example/pay/EUR/880/order-1"},
        },
    },
}
LIST = {
    "type": "interactive",
    "interactive": {
        "type": "list",
        "body": {"text": "Rayons"},
        "action": {"sections": [{"title": "Tout", "rows": [{"id": "a:b", "title": "Pains", "description": "6"}]}]},
    },
}
PRODUCTS = {
    "type": "interactive",
    "interactive": {
        "type": "product_list",
        "header": {"type": "text", "text": "Pains"},
        "body": {"text": "Choisissez"},
        "action": {"sections": [{"title": "Pains", "product_items": [{"product_retailer_id": "c"}]}]},
    },
}
ORDER = {"type": "order", "order": {"product_items": [{"product_retailer_id": "c", "quantity": 4}], "text": "merci"}}
REPLY = {"type": "interactive", "interactive": {"type": "button_reply", "button_reply": {"id": "x", "title": "Oui"}}}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"type": "text", "text": {"body": "a\nb"}}, ["a", "b"]),
        (BUTTONS, ["Total 8,80 €", "[ Confirmer ]"]),
        (LINK, ["À payer", "[ Payer ] http://pay.example/pay/EUR/880/order-1"]),
        (LIST, ["Rayons", "‹Tout›", "• Pains — 6"]),
        (PRODUCTS, ["Pains", "Choisissez", "‹Pains›", "▪ Croissant"]),
        (ORDER, ["(sends a cart)", "4 × Croissant", "merci"]),
        (REPLY, ["(presses “Oui”)"]),
        ({"type": "sticker", "sticker": {}}, ["[sticker]"]),
    ],
)
def test_what_a_message_says(body: dict[str, Any], expected: list[str]) -> None:
    assert chat.lines(body, {"c": "Croissant"}) == expected


def test_what_can_be_pressed_and_opened() -> None:
    assert chat.pressable(BUTTONS) == ["checkout:confirm:7"]
    assert chat.pressable(LIST) == ["a:b"]
    assert chat.pressable(PRODUCTS) == []
    assert chat.link(LINK) == "http://pay.example/pay/EUR/880/order-1"
    assert chat.link(BUTTONS) is None


def test_the_bakery_story_is_a_script_that_ends_with_a_payment() -> None:
    steps = story.read(STORY).steps
    assert any("pay" in step.action for step in steps)
    assert any(step.action.get("press") == "checkout:confirm" for step in steps)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no [[step]]"),
        ("[[step]]\nsing = 'x'", "step 1 has an unknown `sing`"),
        ("[[step]]\ntext = 'x'\n[[step]]\ntext = 'y'\npress = 'z'", "step 2 is not one of"),
        ("[[step]]\nanswered = false", "step 1 is not one of"),
        ("step = ['x']", "step 1 is not one of"),
        ("[[step", "cannot be read"),
    ],
)
def test_a_script_that_is_wrong_says_where(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "story.toml"
    file.write_text(text)
    with pytest.raises(Refused) as refused:
        story.read(file)
    assert said in str(refused.value)
    assert refused.value.status == 2


class Simulator:
    """Answers each action with the next of `answers`; None is silence."""

    def __init__(self, services: FakeServices, *answers: dict[str, Any] | None) -> None:
        self.chat: list[dict[str, Any]] = []
        self.actions: list[dict[str, Any]] = []
        self.payments: list[dict[str, Any]] = []
        self._answers = iter(answers)
        shop = {"id": "bakery", "numbers": [{"phone_number_id": "10", "display": "+33"}]}
        product = {"sku": "c", "title": "Croissant", "price": "1.40", "currency": "EUR"}
        services.on("GET", "/api/shops", [shop])
        services.on("GET", "/api/shops/bakery/products", [product])
        services.on("GET", "/api/customers", [{"id": "c0", "wa_id": "33639980000"}])
        services.on("POST", "/api/customers", self._add)
        services.on("POST", "/api/customers/c1/messages", self._act)
        services.on("GET", "/api/customers/c1/chat", self._chat)
        services.on("POST", "/api/payments/order-1", self._pay)

    def _add(self, request: Request) -> Any:
        assert json.loads(request.body) == {"name": "Ana", "wa_id": "33639980001"}
        return 201, {"id": "c1"}

    def _say(self, direction: str, body: dict[str, Any]) -> dict[str, Any]:
        seq = len(self.chat) + 1
        message = {"seq": seq, "wamid": f"w{seq}", "direction": direction, "kind": body["type"], "body": body}
        self.chat.append(message)
        return message

    def _answer(self) -> None:
        if (body := next(self._answers)) is not None:
            self._say("out", body)

    def _act(self, request: Request) -> Any:
        self.actions.append(json.loads(request.body))
        mine = self._say("in", {"type": "text", "text": {"body": "me"}})
        self._answer()
        return 201, mine

    def _pay(self, request: Request) -> Any:
        self.payments.append(json.loads(request.body))
        self._answer()
        return {"told": True}

    def _chat(self, request: Request) -> Any:
        return [message for message in self.chat if message["seq"] > int(request.query["after"])]


SCRIPT = """
customer = "Ana"
[[step]]
text = "hello"
[[step]]
press = "checkout:confirm"
[[step]]
pay = true
"""


@pytest.fixture
def script(tmp_path: Path) -> str:
    file = tmp_path / "story.toml"
    file.write_text(SCRIPT)
    return str(file)


def test_plays_a_script_and_prints_the_chat(panier: Panier, services: FakeServices, script: str) -> None:
    simulator = Simulator(services, BUTTONS, LINK, {"type": "text", "text": {"body": "Merci"}})
    done = panier("simulate", script, "--json")
    assert (done.exit, done.err) == (0, "")
    assert [message["text"] for message in done.document["messages"]][-1] == "Merci"
    assert [message["direction"] for message in done.document["messages"]] == ["in", "out", "in", "out", "out"]
    pressed = {"press": "checkout:confirm:7", "number": "10"}
    assert simulator.actions == [{"text": "hello", "number": "10"}, pressed]
    assert simulator.payments == [{"state": "paid", "minor": 880, "currency": "EUR"}]


def test_a_silent_shop_and_a_missing_button_end_the_play(panier: Panier, services: FakeServices, script: str) -> None:
    Simulator(services, None)
    silent = panier("simulate", script, "--json")
    assert (silent.exit, silent.error["code"]) == (1, "no_answer")
    assert "text 'hello'" in silent.error["message"]
    Simulator(services, LIST)
    missing = panier("simulate", script, "--json")
    assert (missing.exit, missing.error["code"]) == (1, "no_such_button")
    assert panier("simulate", script, "--number", "99", "--json").error["code"] == "unknown_number"
