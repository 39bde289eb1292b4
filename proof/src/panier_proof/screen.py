"""What is seen while the proof runs: what was done as lines, how far it is as one line that changes."""

import time
from pathlib import Path

from rich.console import Console

_EVERY_SECONDS = 15.0


class Screen:
    """The stack's display as well: what services log goes to a file."""

    def __init__(self, log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.console = Console(highlight=False)
        self.log = log
        self._log = log.open("w", encoding="utf-8")
        self._status = self.console.status("") if self.console.is_terminal else None
        self._said_at = 0.0

    def say(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)

    def show(self, name: str, line: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {name}: {line}", file=self._log, flush=True)

    def waiting(self, text: str) -> None:
        """What goes on now; where lines cannot change, one now and then."""
        if self._status is not None:
            self._status.update(text)
            if text:
                self._status.start()
            else:
                self._status.stop()
        elif text and time.monotonic() - self._said_at > _EVERY_SECONDS:
            self._said_at = time.monotonic()
            self.say(text)

    def close(self) -> None:
        self.waiting("")
        self._log.close()
