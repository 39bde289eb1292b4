"""Events as former versions wrote them are read by this one. None of the examples is ever changed or taken away."""

import msgspec
import pytest
from panier_common.event import decode, encode, received
from panier_common.testing.kept_events import DIGESTS, FOLDER, Example, digest_of, kept
from panier_common.topics import BY_NAME, TOPIC_OF, key_of

EXAMPLES = list(kept())


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: f"{one.ce_type} {one.name}")
def test_is_read_by_todays_code(example: Example) -> None:
    got = received(example.topic, 0, 0, example.headers, example.value.encode())
    assert type(got.event).ce_type == example.ce_type
    assert key_of(got.event) == example.key
    assert type(got.event) in BY_NAME[example.topic].events
    # Nothing that was written is lost on the way through: read again, it says the same.
    assert encode(decode(example.ce_type, encode(got.event))) == encode(got.event)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: f"{one.ce_type} {one.name}")
def test_what_a_newer_version_adds_is_ignored(example: Example) -> None:
    document = msgspec.json.decode(example.value)
    newer = msgspec.json.encode({**document, "added_since": {"of": ["a", "newer", "version"]}})
    assert decode(example.ce_type, newer) == decode(example.ce_type, example.value.encode())


def test_every_event_has_a_full_and_a_minimal_example() -> None:
    """`python -m panier_common.testing.kept_events` adds those of a new event."""
    there = {(one.ce_type, one.name.partition(" ")[0]) for one in EXAMPLES}
    missing = {(event.ce_type, name) for event in TOPIC_OF for name in ("full", "minimal")} - there
    assert not missing


def test_a_full_example_has_every_field_that_there_was_when_it_was_kept() -> None:
    for event in TOPIC_OF:
        fields = {field.encode_name for field in msgspec.structs.fields(event)}
        for example in EXAMPLES:
            if example.ce_type == event.ce_type:
                assert msgspec.json.decode(example.value).keys() <= fields, f"{event.ce_type} lost a field"


def test_no_example_was_changed_or_taken_away() -> None:
    there = {digest_of(line) for file in FOLDER.glob("*.jsonl") for line in file.read_bytes().splitlines()}
    ever = [line.split() for line in DIGESTS.read_text("utf-8").splitlines()]
    gone = [ce_type for digest, ce_type in ever if digest not in there]
    assert not gone, f"examples of {gone} are no longer what was kept"
    assert len(there) == len(ever), "an example has no digest"
