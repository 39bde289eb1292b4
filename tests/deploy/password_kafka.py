"""A broker that knows its clients by name and password, over TLS: SCRAM from its own metadata, PLAIN from its file."""

import contextlib
import pathlib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import trustme
from another_door import add_door, running
from panier_cli.engines.jars import fetch_jars
from panier_cli.engines.java import find_java
from panier_cli.engines.kafka import prepare
from panier_common.ports import free_port

_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"


@dataclass(frozen=True)
class PasswordKafka:
    """`certificates` holds the authority's certificate and nothing else."""

    address: str
    certificates: pathlib.Path


def _properties(folder: pathlib.Path, port: int, plain: str, user: str, password: str) -> dict[str, str]:
    """Only who has signed in may do anything through the door that is for clients."""
    return {
        "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_SSL",
        "advertised.listeners": f"BROKER://{plain},SASL://127.0.0.1:{port}",
        "listener.name.sasl.sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
        "listener.name.sasl.plain.sasl.jaas.config": f'{_PLAIN} required user_{user}="{password}";',
        "listener.name.sasl.scram-sha-512.sasl.jaas.config": f"{_SCRAM} required;",
        "ssl.client.auth": "none",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(folder / "broker.pem"),
    }


def _format_with(config: pathlib.Path, user: str, password: str) -> None:
    """Make the broker's data anew, with a user that SCRAM finds in it."""
    shutil.rmtree(config.parent / "data")
    done = subprocess.run(
        [
            *(find_java().path, "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", f"{fetch_jars(print)}/*"),
            *("kafka.tools.StorageTool", "format", "--cluster-id", "cGFuaWVyLXBhc3N3b3JkcQ"),
            *("-c", str(config)),
            *("--add-scram", f"SCRAM-SHA-512=[name={user},password={password}]"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@contextlib.contextmanager
def password_kafka(folder: pathlib.Path, user: str, password: str) -> Iterator[PasswordKafka]:
    authority = trustme.CA()
    certificates = folder / "certificates"
    certificates.mkdir()
    authority.cert_pem.write_to_path(str(certificates / "ca.crt"))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(folder / "traditional.pem"))
    # Kafka reads keys in PKCS 8 only.
    done = subprocess.run(
        ["openssl", "pkcs8", "-topk8", "-nocrypt", "-in", str(folder / "traditional.pem")],
        capture_output=True,
        check=True,
    )
    chain = (folder / "traditional.pem").read_bytes()
    (folder / "broker.pem").write_bytes(done.stdout + chain[chain.index(b"-----BEGIN CERTIFICATE") :])
    engine = prepare(folder / "kafka", lambda _: None, "the test needs one that asks for passwords")
    port = free_port()
    config = add_door(engine, f"SASL://127.0.0.1:{port}", _properties(folder, port, engine.address, user, password))
    _format_with(config, user, password)
    with running(engine):
        yield PasswordKafka(f"127.0.0.1:{port}", certificates)
