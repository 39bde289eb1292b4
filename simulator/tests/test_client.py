"""The simulator as other projects use it: by its client and its pytest fixtures, with nothing else of Panier.

The shop of these tests is ten lines behind the door: what a project would test in their place.
"""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from panier_simulator import testing
from panier_simulator.client import Simulator, SimulatorError
from panier_simulator.testing import Door, running

# As `pytest_plugins = ["panier_simulator.testing"]` in a project's own conftest.py.
whatsapp, webhooks = testing.whatsapp, testing.webhooks
NUMBER = "106540352242922"
Json = dict[str, Any]


def send(whatsapp: Simulator, to: str, text: str, **more: Any) -> Json:
    """What a shop does: one call of the Graph API."""
    body = {"messaging_product": "whatsapp", "to": to, "type": "text", "text": {"body": text}, **more}
    request = urllib.request.Request(
        f"{whatsapp.graph_url}/v26.0/{NUMBER}/messages",
        json.dumps(body).encode(),
        {"Authorization": "Bearer any", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


def test_a_shop_answers_a_customer(whatsapp: Simulator, webhooks: Door) -> None:
    webhooks.on_message = lambda message: send(whatsapp, message["from"], "Hello, we have tea.") and None
    customer = whatsapp.customer("Camille", wa_id="33600000001")
    customer.says("What do you have?")
    answer = customer.receives()
    assert answer["body"]["text"]["body"] == "Hello, we have tea."
    states = webhooks.until(lambda: [status["status"] for status in webhooks.statuses(answer["wamid"])][1:])
    assert states == ["delivered"]


def test_the_window_and_the_clock(whatsapp: Simulator, webhooks: Door) -> None:
    whatsapp.customer("Camille", wa_id="33600000001").says("hello")
    assert "messages" in send(whatsapp, "33600000001", "in time")
    whatsapp.move_clock(24 * 3600 + 1)
    assert send(whatsapp, "33600000001", "late")["error"]["code"] == 131047
    assert [message["state"] for message in whatsapp.accepted(NUMBER)] != []
    assert [refusal["code"] for refusal in whatsapp.refusals()] == [131047]
    assert whatsapp.counts()["refused"] == {"131047": 1}


def test_faults_on_demand(whatsapp: Simulator, webhooks: Door) -> None:
    customer = whatsapp.customer("Camille", wa_id="33600000001")
    whatsapp.faults(duplicated=1, delay_seconds=0)
    customer.does({"cart": [{"sku": "tea", "quantity": 2}]})
    webhooks.until(lambda: len(webhooks.messages()) == 2)
    assert webhooks.documents[0] == webhooks.documents[1]
    whatsapp.faults()
    whatsapp.next_call(code=131042)
    assert send(whatsapp, "33600000001", "hi")["error"]["code"] == 131042
    customer.trouble(131026)
    assert send(whatsapp, "33600000001", "hi")["error"]["code"] == 131026
    customer.trouble(None)
    whatsapp.number(NUMBER, messages_per_second=1)
    codes = [send(whatsapp, "33600000001", "hi").get("error", {}).get("code") for _ in range(3)]
    assert set(codes) <= {None, 130429}
    assert codes[-1] == 130429, "what the customer wrote in this second counts as well"


def test_a_door_that_is_shut_is_knocked_at_again(whatsapp: Simulator, webhooks: Door) -> None:
    webhooks.answer = 503
    whatsapp.customer("Camille", wa_id="33600000001").says("hello")
    with pytest.raises(TimeoutError):
        webhooks.until(webhooks.messages, seconds=0.3)
    webhooks.answer = 200
    whatsapp.move_clock(3600)
    assert webhooks.until(webhooks.messages)[0]["text"] == {"body": "hello"}
    while whatsapp.webhooks()["waiting"]:  # until its answer was noted
        time.sleep(0.05)


def test_presses_reach_the_shop_and_nonsense_is_refused(whatsapp: Simulator, webhooks: Door) -> None:
    customer = whatsapp.customer("Noa")
    assert customer.wa_id is None
    customer.says("hello")
    with pytest.raises(SimulatorError, match="No message on this phone") as refusal:
        customer.presses("cart:show")
    assert (refusal.value.status, refusal.value.problem["code"]) == (400, "impossible_action")
    with pytest.raises(TimeoutError):
        customer.receives(seconds=0.1)


def test_a_door_with_another_secret_takes_nothing() -> None:
    with Door("another secret") as door, running(door.url) as simulator:
        simulator.customer("Camille", wa_id="33600000001").says("hello")
        deadline = 50
        while not door.refused and deadline:
            deadline -= 1
            with pytest.raises(TimeoutError):
                door.until(lambda: False, seconds=0.1)
        assert door.refused > 0
        assert door.messages() == []


def test_needs_nothing_else_of_panier(tmp_path: Path) -> None:
    """Neither the client nor the simulator loads another package of ours, and none of its files is needed."""
    script = (
        "import sys, panier_simulator.testing, panier_simulator.__main__\n"
        "ours = {name.partition('.')[0] for name in sys.modules if name.startswith('panier_')}\n"
        "print(sorted(ours))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['panier_simulator']"
