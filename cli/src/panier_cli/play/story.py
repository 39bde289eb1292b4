"""A customer's script: read from TOML and checked before anything is played. Pure but for reading the file."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panier_cli.errors import USAGE, Refused

ACTIONS = ("text", "press", "cart", "location", "product_question", "media", "reaction", "contacts", "pay")
_MORE = ("reply_to", "catalog_id", "force", "answered")
_TOGETHER = {"cart", "text"}  # a WhatsApp cart may come with a text


@dataclass(frozen=True)
class Step:
    """One action, and whether the shop answers it."""

    action: dict[str, Any]
    answered: bool = True

    @property
    def words(self) -> str:
        """The step as an error names it."""
        name = next(name for name in ACTIONS if name in self.action)
        return f"{name} {self.action[name]!r}"


@dataclass(frozen=True)
class Story:
    customer: str
    steps: tuple[Step, ...]


def read(file: Path) -> Story:
    """The story of a file. Raises Refused with the step that is wrong, counted from 1."""
    try:
        document = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Refused("bad_script", f"the script {file} cannot be read: {error}", "", USAGE) from error
    steps = document.get("step")
    if not isinstance(steps, list) or not steps:
        raise Refused("bad_script", f"the script {file} has no [[step]]", "", USAGE)
    return Story(str(document.get("customer", "Camille")), tuple(_step(n, step) for n, step in enumerate(steps, 1)))


def _step(number: int, step: Any) -> Step:
    given = {name for name in step if name in ACTIONS} if isinstance(step, dict) else set()
    unknown = sorted(set(step) - {*ACTIONS, *_MORE}) if isinstance(step, dict) else []
    if unknown or (len(given) != 1 and given != _TOGETHER):
        why = f"has an unknown `{unknown[0]}`" if unknown else f"is not one of {', '.join(ACTIONS)}"
        raise Refused("bad_script", f"step {number} {why}", "", USAGE)
    action = {name: value for name, value in step.items() if name != "answered"}
    return Step(action, bool(step.get("answered", "reaction" not in given)))
