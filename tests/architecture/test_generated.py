"""Generated documents are those of this code, and a schema that would break readers is refused."""

import importlib.util
import pathlib
import subprocess
import sys

import pytest

DOCS = pathlib.Path(__file__).parents[2] / "docs"
_spec = importlib.util.spec_from_file_location("schemas", DOCS / "schemas.py")
assert _spec is not None
assert _spec.loader is not None
schemas = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(schemas)


def test_the_generated_documents_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, DOCS / "generate.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


OLD = {
    "$defs": {"Paid": {"properties": {"minor": {"type": "integer"}, "at": {"type": "string"}}, "required": ["minor"]}}
}


def changed(**properties: object) -> dict[str, object]:
    new = {**OLD["$defs"]["Paid"]["properties"], **properties}
    return {"$defs": {"Paid": {"properties": {k: v for k, v in new.items() if v}, "required": ["minor"]}}}


def test_a_new_optional_field_breaks_nobody() -> None:
    assert schemas.breaks(OLD, changed(note={"type": "string"})) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"minor": None}, "Paid.minor is gone"),
        ({"minor": {"type": "string"}}, "Paid.minor was integer and is string"),
    ],
)
def test_a_field_that_goes_or_changes_breaks_readers(change: dict[str, object], reason: str) -> None:
    assert reason in schemas.breaks(OLD, changed(**change))


def test_a_new_required_field_breaks_old_events() -> None:
    new = changed(by={"type": "string"})
    new["$defs"]["Paid"]["required"] = ["minor", "by"]  # type: ignore[index]
    assert schemas.breaks(OLD, new) == ["Paid.by is new and required"]
