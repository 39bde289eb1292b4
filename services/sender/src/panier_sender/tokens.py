"""Access tokens of the shops' numbers, by the names that the shops give them. Never logged, never stored."""

import os
import time
from collections.abc import Mapping
from pathlib import Path

import structlog
from panier_common.contracts.events import ShopConfigured

FRESH_SECONDS = 5.0

log = structlog.get_logger()


class Tokens:
    """Looks a number's token up in `<NAME>`, else in a file, read anew every 5 s: `<NAME>_FILE`, else the folder's."""

    def __init__(self, shop_of: Mapping[str, ShopConfigured], folder: Path | None = None) -> None:
        self._shop_of = shop_of
        self._folder = folder
        self._read: dict[str, tuple[float, str]] = {}
        self._unusable: set[str] = set()

    def of(self, phone_number_id: str) -> str | None:
        """The token; None when the number is no shop's, its variable is not set, or holds what no header can carry."""
        name = self.variable(phone_number_id)
        if name is None:
            return None
        token = os.environ.get(name, "").strip() or self._from_file(name)
        if token.isascii() and token.isprintable() and " " not in token:
            self._unusable.discard(name)
            return token or None
        if name not in self._unusable:  # say so once
            self._unusable.add(name)
            log.error("not an access token: it has more in it than printable ASCII without spaces", variable=name)
        return None

    def variable(self, phone_number_id: str) -> str | None:
        """The name of the variable that should hold it."""
        shop = self._shop_of.get(phone_number_id)
        numbers = shop.numbers if shop is not None else ()
        return next((n.access_token_env for n in numbers if n.phone_number_id == phone_number_id), None)

    def _from_file(self, name: str) -> str:
        path = os.environ.get(f"{name}_FILE") or (self._folder and self._folder / name)
        if not path:
            return ""
        read_at, token = self._read.get(name, (float("-inf"), ""))
        if time.monotonic() - read_at > FRESH_SECONDS:
            try:
                token = Path(path).read_text(encoding="ascii", errors="replace").strip()
            except OSError:
                token = ""
            self._read[name] = (time.monotonic(), token)
        return token
