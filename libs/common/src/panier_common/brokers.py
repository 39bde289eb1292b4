"""How this process speaks to the brokers: in plain, by TLS with a certificate of its own, or by TLS with a password.

The settings and the files that they name are read for every client that is made, so that a certificate or a password
changed on disk is used by the next one.
"""

import ssl
from typing import Any

from panier_common.settings import KafkaSecurity


def tls(security: KafkaSecurity) -> ssl.SSLContext | None:
    """The authority to trust and the certificate to show; None where the brokers are spoken to in plain.

    With SASL a certificate is shown only if there is one: it is the password that says who we are.
    """
    folder = security.kafka_tls
    if folder is None:
        return None
    context = ssl.create_default_context(cafile=folder / "ca.crt")
    if security.kafka_sasl_mechanism is None or (folder / "user.crt").exists():
        context.load_cert_chain(folder / "user.crt", folder / "user.key")
    return context


def brokers(bootstrap_servers: str) -> dict[str, Any]:
    """What every client of aiokafka is given first. Raises SettingsError, or OSError for a file that is missing."""
    security = KafkaSecurity()
    context = tls(security)
    if context is None:
        return {"bootstrap_servers": bootstrap_servers}
    secured = {"bootstrap_servers": bootstrap_servers, "security_protocol": "SSL", "ssl_context": context}
    if security.kafka_sasl_mechanism is None:
        return secured
    return {
        **secured,
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": security.kafka_sasl_mechanism,
        "sasl_plain_username": security.kafka_username,
        "sasl_plain_password": security.kafka_password.get_secret_value(),
    }
