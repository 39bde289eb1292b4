"""What `panier up` shows: each line behind the name of who said it, in colours on a terminal."""

from __future__ import annotations

import json
import sys
from typing import IO

from panier_cli.stack.services import SERVICES

_WIDTH = max(len(service.name) for service in SERVICES)
_COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "bright_cyan", "bright_green", "bright_magenta")
_LEVELS = {"warning": "yellow", "error": "red", "critical": "red"}
_NOT_SHOWN = ("timestamp", "level", "event", "logger", "service", "trace_id", "span_id", "version")


class Screen:
    """Plain lines where output is kept or read by programs; colours and a status line on a terminal."""

    def __init__(self, out: IO[str] | None = None) -> None:
        self._out = out or sys.stdout
        self._rich = None
        if self._out.isatty():
            from rich.console import Console

            self._rich = Console(file=self._out, highlight=False)
            self._status = self._rich.status("")

    def say(self, text: str) -> None:
        """A line of our own."""
        self.show("panier", text)

    def show(self, name: str, line: str) -> None:
        """A line that a program said."""
        if self._rich is None:
            print(f"{name:<{_WIDTH}} | {line}", file=self._out, flush=True)
            return
        from rich.text import Text

        words = Text.assemble((f"{name:<{_WIDTH}} │ ", self._colour(name)), _readable(line))
        self._rich.print(words, soft_wrap=True)

    def waiting(self, text: str) -> None:
        """What is being waited for now; an empty text when nothing is."""
        if self._rich is not None:
            self._status.update(text)
            if text:
                self._status.start()
            else:
                self._status.stop()
        elif text:
            self.say(text)

    @staticmethod
    def _colour(name: str) -> str:
        names = [service.name for service in SERVICES]
        service = name.partition("/")[0]
        return _COLOURS[names.index(service)] if service in names else "bold"


def _readable(line: str) -> tuple[str, str]:
    """A JSON log line as people read it, with its style; any other line as it is."""
    try:
        record = json.loads(line)
    except ValueError:
        return line, ""
    if not isinstance(record, dict) or "event" not in record:
        return line, ""
    rest = " ".join(f"{key}={value}" for key, value in record.items() if key not in _NOT_SHOWN)
    style = _LEVELS.get(str(record.get("level")), "")
    return f"{str(record.get('timestamp', ''))[11:19]} {record['event']} {rest}".strip(), style
