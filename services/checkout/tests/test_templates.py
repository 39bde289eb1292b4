"""What news of an order says outside the window: every news has its template, and the example file has every one."""

import re
import tomllib
from pathlib import Path

import pytest
from panier_checkout.templates import TEMPLATES
from panier_checkout.voice import Voice
from panier_common.contracts import events as e

from .stage import CONVERSATION, PLENTY, WORDS, Stage

EXAMPLE = Path(__file__).parents[3] / "examples" / "bakery" / "templates.toml"


def late(stage: Stage) -> list[e.Template | None]:
    return [event.template for event in stage.happened(e.MessageRequested)]


def advance(stage: Stage, order_id: str, state: str) -> e.Template | None:
    stage.play(e.OrderAdvanced(CONVERSATION, order_id, state, f"key-{state}", "shop", stage.now))
    return late(stage)[-1]


@pytest.mark.parametrize(
    ("way", "names"),
    [
        ("collect", ["order_accepted", "order_ready", "order_completed"]),
        ("deliver", ["order_accepted", "order_ready_to_deliver", "order_on_the_way", "order_completed"]),
    ],
)
def test_every_step_of_the_shop_has_a_template(way: str, names: list[str]) -> None:
    stage = Stage(language="en")
    order = stage.placed(way, **({"lines": PLENTY} if way == "deliver" else {}))
    assert late(stage)[-1] is None, "an answer needs none"
    stage.told(order)
    paid = late(stage)[-1]
    assert paid is not None
    assert (paid.name, paid.language) == ("order_paid", "en")
    assert paid.body[0] == order.number
    states = ["accepted", "ready", *(["on_the_way"] if way == "deliver" else []), "completed"]
    found = [advance(stage, order.order_id, state) for state in states]
    assert [template.name for template in found if template] == names
    assert all(template is not None and template.body == (order.number,) for template in found)


def test_money_and_its_end_have_templates() -> None:
    stage = Stage(language="fr")
    order = stage.placed()
    stage.fire("halfway:")
    assert late(stage)[-1] == e.Template("order_payment_due", "fr", (order.number, "8,20\xa0€"))
    stage.fire("overdue:")
    assert late(stage)[-1] == e.Template("order_expired", "fr", (order.number,))
    stage.told(order)
    assert late(stage)[-1] == e.Template("order_payment_problem", "fr", (order.number,))


def test_the_example_file_has_every_template_in_every_language() -> None:
    tables = {table["name"]: table["language"] for table in tomllib.loads(EXAMPLE.read_text("utf-8"))["template"]}
    order, voice = Stage().placed(), Voice(WORDS, "fr", "Europe/Paris")
    assert set(tables) == set(TEMPLATES)
    for name, languages in tables.items():
        for language in ("fr", "en"):
            wanted = set(re.findall(r"{{(\d)}}", languages[language]["body"]))
            assert len(wanted) == len(TEMPLATES[name](voice, order)), name
