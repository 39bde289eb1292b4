"""Access tokens of the shops' numbers, from the variables that the shops name. Never logged, never stored."""

import os
import time
from collections.abc import Mapping
from pathlib import Path

from panier_common.contracts.events import ShopConfigured

FRESH_SECONDS = 5.0


class Tokens:
    """Looks a number's token up in `<NAME>`, else in the file that `<NAME>_FILE` names (read anew every 5 s)."""

    def __init__(self, shop_of: Mapping[str, ShopConfigured]) -> None:
        self._shop_of = shop_of
        self._read: dict[str, tuple[float, str | None]] = {}

    def of(self, phone_number_id: str) -> str | None:
        """The token; None when the number is no shop's, or its variable is not set."""
        name = self.variable(phone_number_id)
        if name is None:
            return None
        return os.environ.get(name) or self._from_file(name)

    def variable(self, phone_number_id: str) -> str | None:
        """The name of the variable that should hold it."""
        shop = self._shop_of.get(phone_number_id)
        numbers = shop.numbers if shop is not None else ()
        return next((n.access_token_env for n in numbers if n.phone_number_id == phone_number_id), None)

    def _from_file(self, name: str) -> str | None:
        path = os.environ.get(f"{name}_FILE")
        if not path:
            return None
        read_at, token = self._read.get(name, (float("-inf"), None))
        if time.monotonic() - read_at > FRESH_SECONDS:
            try:
                token = Path(path).read_text(encoding="utf-8").strip() or None
            except OSError:
                token = None
            self._read[name] = (time.monotonic(), token)
        return token
