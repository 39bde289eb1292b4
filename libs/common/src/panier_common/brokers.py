"""How this process speaks to the brokers: in plain, or by TLS with a certificate of its own.

`PANIER_KAFKA_TLS` names a folder with `ca.crt`, `user.crt` and `user.key`, as a mounted Secret has them. It is read for
every client that is made, so that a certificate changed on disk is used by the next one.
"""

import os
import ssl
from pathlib import Path
from typing import Any

SETTING = "PANIER_KAFKA_TLS"


def tls() -> ssl.SSLContext | None:
    """The certificates to trust and to show; None where the brokers are spoken to in plain."""
    folder = os.environ.get(SETTING)
    if not folder:
        return None
    context = ssl.create_default_context(cafile=Path(folder) / "ca.crt")
    context.load_cert_chain(Path(folder) / "user.crt", Path(folder) / "user.key")
    return context


def brokers(bootstrap_servers: str) -> dict[str, Any]:
    """What every client of aiokafka is given first."""
    context = tls()
    secured = {} if context is None else {"security_protocol": "SSL", "ssl_context": context}
    return {"bootstrap_servers": bootstrap_servers, **secured}
