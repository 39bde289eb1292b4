"""The topic table and the code agree: who publishes what, who reads what."""

import ast
import pathlib
import re

from panier_common import topics
from panier_common.contracts.events import Event

ROOT = pathlib.Path(__file__).parents[2]
CONSTANTS = {name: value for name, value in vars(topics).items() if isinstance(value, topics.Topic)}


def topics_of(service: str) -> set[str]:
    """The topics a service names, by what it imports from the table."""
    return {
        alias.name
        for path in sorted((ROOT / "services" / service / "src").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == "panier_common.topics"
        for alias in node.names
    }


def test_every_event_is_on_exactly_one_topic() -> None:
    listed = [event for topic in topics.TOPICS for event in topic.events]
    assert len(listed) == len(set(listed))
    every = {kind for kind in Event.__subclasses__() if kind.__module__ == "panier_common.contracts.events"}
    assert every == set(listed)


def test_every_event_has_the_key_of_its_topic() -> None:
    for topic in topics.TOPICS:
        for event in topic.events:
            assert hasattr(event, topic.key) or topic.key in event.__struct_fields__, (topic.name, event.__name__)


def test_types_are_named_noun_verb_version() -> None:
    for event in topics.TOPIC_OF:
        assert re.fullmatch(r"panier\.[a-z-]+\.[a-z-]+\.v\d+", event.ce_type), event


def test_a_topic_is_read_only_by_its_consumers() -> None:
    services = [path.name for path in (ROOT / "services").iterdir() if (path / "src").exists()]
    for service in services:
        for name in topics_of(service) & CONSTANTS.keys():
            topic = CONSTANTS[name]
            assert service in topic.consumers or service in topic.producers, f"{service} uses {topic.name}"
