"""What the customer reads, whole: reviewed files in `data/`, one a situation and language."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from panier_common.contracts import events as e

DATA = Path(__file__).parent / "data"


def at_the_way(stage):
    stage.checkout()


def at_the_address(stage):
    stage.checkout((e.Line("gateau", "Gâteau", 2, 1000),)).press("checkout:deliver")


def at_the_summary(stage):
    stage.checkout((e.Line("gateau", "Gâteau", 2, 1000),), note="Sans noix")
    stage.press("checkout:deliver").say("12 rue des Lilas, 13002 Marseille")


def placed(stage):
    stage.placed()


def reminder(stage):
    stage.placed()
    stage.fire("halfway:")


def short(stage):
    stage.checkout().press("checkout:collect").press("checkout:confirm")
    stage.refused(short=(e.ShortLine("croissant", 4, 3), e.ShortLine("tradition", 2, 0)))


def repriced(stage):
    stage.checkout().press("checkout:collect").press("checkout:confirm")
    stage.refused(repriced=(e.ShortLine("croissant", 4, None, unit_minor=150),))


def receipt(stage):
    stage.told(stage.placed())


def failed(stage):
    stage.told(stage.placed(), state="failed")


def expired(stage):
    stage.placed()
    stage.fire("overdue:")


def my_orders(stage):
    stage.placed()
    stage.press("checkout:orders")


def detail(stage):
    order = stage.placed("deliver", lines=(e.Line("gateau", "Gâteau", 2, 1000),))
    stage.press(f"checkout:order:{order.order_id}")


SITUATIONS: tuple[Callable[..., None], ...] = (
    at_the_way,
    at_the_address,
    at_the_summary,
    placed,
    reminder,
    short,
    repriced,
    receipt,
    failed,
    expired,
    my_orders,
    detail,
)


@pytest.mark.parametrize("language", ["fr", "en", "fr-FR", "en-GB"])
@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda s: s.__name__)
def test_answers_are_as_reviewed(make_stage, situation, language):
    stage = make_stage(language=language)
    situation(stage)
    shown = [message.model_dump(mode="json", exclude_none=True) for message in stage.messages]
    reviewed = DATA / f"{situation.__name__}.{language[:2]}.json"
    assert shown == json.loads(reviewed.read_text(encoding="utf-8"))
