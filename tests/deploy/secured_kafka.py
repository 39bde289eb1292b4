"""A broker that asks for certificates and lets each user do what its KafkaUser may, as Strimzi's do."""

import contextlib
import pathlib
from collections.abc import Iterator
from dataclasses import dataclass

import trustme
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest
from another_door import add_door, running
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from manifest_rules import Object
from panier_cli.engines.kafka import prepare
from panier_common.ports import free_port

# Numbers of Kafka's protocol.
_RESOURCES = {"topic": 2, "group": 3, "cluster": 4}
_PATTERNS = {"literal": 3, "prefix": 4}
_OPERATIONS = {"Read": 3, "Write": 4, "Create": 5, "Describe": 8, "DescribeConfigs": 10}
_DENY, _ALLOW = 2, 3


@dataclass(frozen=True)
class SecuredKafka:
    """`plain` is a door for the test alone, where it may do everything."""

    plain: str
    tls: str
    folder: pathlib.Path

    def certificates(self, user: str) -> pathlib.Path:
        """A folder as the user's pod has it."""
        return self.folder / user


def _write(folder: pathlib.Path, authority: trustme.CA, certificate: trustme.LeafCert) -> None:
    folder.mkdir(parents=True)
    key = load_pem_private_key(certificate.private_key_pem.bytes(), None)
    (folder / "user.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "user.crt").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    authority.cert_pem.write_to_path(str(folder / "ca.crt"))


def _properties(folder: pathlib.Path, port: int, plain: str) -> dict[str, str]:
    broker = folder / "broker"
    store = folder / "broker.pem"
    store.write_bytes((broker / "user.key").read_bytes() + (broker / "user.crt").read_bytes())
    return {
        "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL",
        "advertised.listeners": f"BROKER://{plain},TLS://127.0.0.1:{port}",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "listener.name.tls.ssl.client.auth": "required",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(store),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(broker / "ca.crt"),
        "ssl.principal.mapping.rules": "RULE:^.*CN=([^,]+).*$/$1/",
    }


async def allow(kafka: SecuredKafka, users: list[Object]) -> None:
    """Give each user the rights of its KafkaUser."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.plain)
    await admin.start()
    try:
        for user in users:
            for acl in user["spec"]["authorization"]["acls"]:
                of = acl["resource"]
                for operation in acl["operations"]:
                    request = CreateAclsRequest(
                        _RESOURCES[of["type"]],
                        of.get("name", "kafka-cluster"),
                        _PATTERNS[of.get("patternType", "literal")],
                        f"User:{user['metadata']['name']}",
                        "*",
                        _OPERATIONS[operation],
                        _ALLOW,
                    )
                    answer = await admin._send_to_controller(request)
                    assert [code for code, _ in answer.creation_responses] == [0], answer
    finally:
        await admin.close()


async def forbid(kafka: SecuredKafka, user: str, kind: str, name: str, operation: str) -> None:
    """What nothing that allows it outweighs."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.plain)
    await admin.start()
    try:
        what = (_RESOURCES[kind], name, _PATTERNS["literal"], f"User:{user}", "*", _OPERATIONS[operation], _DENY)
        answer = await admin._send_to_controller(CreateAclsRequest(*what))
        assert [code for code, _ in answer.creation_responses] == [0], answer
    finally:
        await admin.close()


async def take_away(kafka: SecuredKafka, user: str, kind: str, prefix: str, operation: str) -> None:
    """One right that `allow` gave."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.plain)
    await admin.start()
    try:
        what = (_RESOURCES[kind], prefix, _PATTERNS["prefix"], f"User:{user}", "*", _OPERATIONS[operation], _ALLOW)
        answer = await admin._send_to_controller(DeleteAclsRequest(*what))
        [(code, _, taken)] = answer.filter_responses
        assert (code, len(taken)) == (0, 1), answer
    finally:
        await admin.close()


@contextlib.contextmanager
def secured_kafka(folder: pathlib.Path, users: list[Object]) -> Iterator[SecuredKafka]:
    authority = trustme.CA()
    _write(folder / "broker", authority, authority.issue_cert("127.0.0.1", common_name="broker"))
    for user in users:
        name = user["metadata"]["name"]
        _write(folder / name, authority, authority.issue_cert(f"{name}.example", common_name=name))
    engine = prepare(folder / "kafka", lambda _: None, "the test needs one that asks for certificates")
    port = free_port()
    add_door(engine, f"TLS://127.0.0.1:{port}", _properties(folder, port, engine.address))
    with running(engine):
        yield SecuredKafka(engine.address, f"127.0.0.1:{port}", folder)
