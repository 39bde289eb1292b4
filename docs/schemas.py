"""Whether readers of an old JSON Schema can read what a new one describes: what may change and what not.

A new optional field is fine. A field that goes, changes its type or becomes required in another sense is not.
"""

from typing import Any

Schema = dict[str, Any]


def breaks(old: Schema, new: Schema) -> list[str]:
    """What in `new` would break a reader of `old`; empty when nothing does."""
    found: list[str] = []
    old_defs, new_defs = old.get("$defs", {}), new.get("$defs", {})
    for name, definition in old_defs.items():
        if name not in new_defs:
            found.append(f"{name} is gone")
        else:
            found += _fields(name, definition, new_defs[name])
    if "properties" in old:
        found += _fields(str(old.get("title", "")), old, new)
    return found


def _fields(name: str, old: Schema, new: Schema) -> list[str]:
    found: list[str] = []
    before, after = old.get("properties", {}), new.get("properties", {})
    required_before, required_after = set(old.get("required", ())), set(new.get("required", ()))
    for field, kind in before.items():
        if field not in after:
            found.append(f"{name}.{field} is gone")
        elif _kind(kind) != _kind(after[field]):
            found.append(f"{name}.{field} was {_kind(kind)} and is {_kind(after[field])}")
        elif field in required_before and field not in required_after:
            found.append(f"{name}.{field} was always there and is optional now")
    found += [
        f"{name}.{field} is new and required" for field in after if field not in before and field in required_after
    ]
    return found


def _kind(schema: Schema) -> str:
    """A field's type, without words and defaults; a union that grew a member is another kind."""
    if "anyOf" in schema:
        return " or ".join(sorted(_kind(option) for option in schema["anyOf"]))
    if "items" in schema and isinstance(schema["items"], dict):
        return f"array of {_kind(schema['items'])}"
    return str(schema.get("$ref") or schema.get("type") or schema.get("enum") or "anything")
