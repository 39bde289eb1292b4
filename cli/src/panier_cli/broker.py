"""What a broker refuses, or does not answer, as a command says it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from panier_cli.errors import Refused

_SEE = "see the PANIER_KAFKA_… settings: address, TLS, name and password"


@contextmanager
def refusals(address: str, hint: str = _SEE) -> Iterator[None]:
    """Around what is asked of the broker at an address; ``hint`` is for one that does not do it."""
    from aiokafka.errors import KafkaError
    from panier_common.settings import SettingsError

    try:
        yield
    except SettingsError as error:
        raise Refused("bad_setting", str(error), "docs/configuration.md says what each setting may be") from error
    except (KafkaError, OSError) as error:
        why = ": ".join(filter(None, (type(error).__name__, str(error))))
        raise Refused("no_broker", f"the broker at {address} does not do it ({why})", hint) from error
