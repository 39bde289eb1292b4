"""How clients are told to speak to the brokers: in plain, or with the certificates and passwords that are there now."""

import ssl
from pathlib import Path

import pytest
import trustme
from panier_common.brokers import brokers
from panier_common.settings import SettingsError

TLS, MECHANISM = "PANIER_KAFKA_TLS", "PANIER_KAFKA_SASL_MECHANISM"
USERNAME, PASSWORD = "PANIER_KAFKA_USERNAME", "PANIER_KAFKA_PASSWORD"


def authority(folder: Path) -> trustme.CA:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.crt"))
    return authority


def test_brokers_are_spoken_to_in_plain_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (TLS, MECHANISM, USERNAME, PASSWORD):
        monkeypatch.delenv(name, raising=False)
    assert brokers("kafka:9092") == {"bootstrap_servers": "kafka:9092"}


def test_certificates_are_read_for_every_client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(TLS, str(tmp_path))
    with pytest.raises(FileNotFoundError):
        brokers("kafka:9093")
    certificate = authority(tmp_path).issue_cert("cart.example")
    certificate.private_key_pem.write_to_path(str(tmp_path / "user.key"))
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "user.crt"))
    given = brokers("kafka:9093")
    assert given["security_protocol"] == "SSL"
    assert given["ssl_context"].verify_mode is ssl.CERT_REQUIRED
    assert given["ssl_context"].check_hostname


def test_a_password_is_read_for_every_client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority(tmp_path)
    secret = tmp_path / "password"
    monkeypatch.setenv(TLS, str(tmp_path))
    monkeypatch.setenv(MECHANISM, "SCRAM-SHA-512")
    monkeypatch.setenv(USERNAME, "panier-cart")
    monkeypatch.setenv(f"{PASSWORD}_FILE", str(secret))
    for password in ("the first", "the second"):
        secret.write_text(f"{password}\n")
        given = brokers("kafka:9094")
        assert given["security_protocol"] == "SASL_SSL"
        assert given["ssl_context"].verify_mode is ssl.CERT_REQUIRED
        assert (given["sasl_plain_username"], given["sasl_plain_password"]) == ("panier-cart", password)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({MECHANISM: "PLAIN", USERNAME: "cart", PASSWORD: "hunter2"}, "needs PANIER_KAFKA_TLS"),
        ({MECHANISM: "PLAIN", USERNAME: "cart"}, "needs PANIER_KAFKA_USERNAME and PANIER_KAFKA_PASSWORD"),
        ({MECHANISM: "PLAIN", PASSWORD: "hunter2"}, "needs PANIER_KAFKA_USERNAME and PANIER_KAFKA_PASSWORD"),
        ({USERNAME: "cart", PASSWORD: "hunter2"}, "no use without PANIER_KAFKA_SASL_MECHANISM"),
        ({MECHANISM: "GSSAPI", USERNAME: "cart", PASSWORD: "hunter2"}, "PANIER_KAFKA_SASL_MECHANISM"),
        ({TLS: "/there/is/none"}, "PANIER_KAFKA_TLS"),
    ],
)
def test_half_of_it_is_refused_by_name(
    settings: dict[str, str], why: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=why) as raised:
        brokers("kafka:9092")
    assert "hunter2" not in str(raised.value)
