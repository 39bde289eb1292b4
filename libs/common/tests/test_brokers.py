"""How clients are told to speak to the brokers: in plain, or with the certificates that are in the folder now."""

import ssl
from pathlib import Path

import pytest
import trustme
from panier_common.brokers import SETTING, brokers, tls


def test_brokers_are_spoken_to_in_plain_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SETTING, raising=False)
    assert tls() is None
    assert brokers("kafka:9092") == {"bootstrap_servers": "kafka:9092"}


def test_certificates_are_read_for_every_client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(SETTING, str(tmp_path))
    with pytest.raises(FileNotFoundError):
        brokers("kafka:9093")
    authority = trustme.CA()
    certificate = authority.issue_cert("cart.example")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    certificate.private_key_pem.write_to_path(str(tmp_path / "user.key"))
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "user.crt"))
    given = brokers("kafka:9093")
    assert given["security_protocol"] == "SSL"
    assert given["ssl_context"].verify_mode is ssl.CERT_REQUIRED
    assert given["ssl_context"].check_hostname
