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


# Where a customer shows: in these fields, or in what Meta or a payment provider sent, which is kept whole.
PERSONAL_FIELDS = {"conversation", "customer", "raw", "first", "second", "recipient_wa_id", "message"}


def test_a_topic_without_personal_data_has_no_field_for_it() -> None:
    for topic in (*topics.TOPICS, *topics.CHANGELOGS):
        fields = {name for event in topic.events for name in event.__struct_fields__}
        assert topic.personal == bool(fields & PERSONAL_FIELDS), topic.name


def test_personal_data_does_not_stay_on_a_topic() -> None:
    for topic in topics.PERSONAL:
        if topic.cleanup == "delete":
            assert topic.retention_ms <= 7 * topics.DAY_MS, topic.name
            assert topic.settings["segment.ms"] == topics.DAY_MS, f"{topic.name}: records go with their segment"
            assert topic.longest_kept_ms > topic.retention_ms + topics.SEGMENT_MS
        else:
            assert topic.settings["max.compaction.lag.ms"] == topic.settings["segment.ms"], topic.name
            assert int(topic.settings["segment.ms"]) < topics.DAY_MS, "keep_moving appends daily"


def test_a_compacted_topic_with_personal_data_is_given_tombstones_and_kept_moving() -> None:
    for name, topic in CONSTANTS.items():
        if topic.personal and topic.cleanup == "compact":
            [service] = topic.producers
            folder = ROOT / "services" / service / "src" / f"panier_{service}"
            assert name in (folder / "erasure.py").read_text(), f"{service} must end what it says on {topic.name}"
            assert re.search(rf"keep_moving\(.*{name}\)", (folder / "__main__.py").read_text())
