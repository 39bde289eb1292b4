"""Which engines there are: those that settings name, or of our own as many as the folder's data were written by."""

import asyncio
from pathlib import Path

import pytest
import trustme
from panier_cli.engines import EngineError
from panier_cli.engines.choice import (
    BROKERS_SETTING,
    KAFKA_SETTING,
    POSTGRES_SETTING,
    brokers_of,
    choose_kafka,
    choose_postgres,
)


@pytest.mark.parametrize(
    ("held", "given", "brokers"),
    [("", "", 1), ("", "3", 3), ("data", "", 1), ("data", "1", 1), ("1/data", "", 3), ("1/data", "3", 3)],
)
def test_as_many_as_the_folder_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: str, given: str, brokers: int
) -> None:
    (tmp_path / held).mkdir(parents=True, exist_ok=True)
    monkeypatch.setenv(BROKERS_SETTING, given)
    assert brokers_of(tmp_path) == brokers


@pytest.mark.parametrize(("held", "given"), [("data", "3"), ("1/data", "1"), ("", "2")])
def test_others_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: str, given: str) -> None:
    """One broker on the folder of three would be an empty one."""
    (tmp_path / held).mkdir(parents=True, exist_ok=True)
    monkeypatch.setenv(BROKERS_SETTING, given)
    with pytest.raises(EngineError, match=BROKERS_SETTING):
        brokers_of(tmp_path)


async def test_a_named_broker_answers_when_one_of_several_does_by_whatever_name(
    kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KAFKA_SETTING, f" 127.0.0.1:1, {kafka.replace('127.0.0.1', 'localhost')} ,")
    engine = choose_kafka(tmp_path, print)
    assert (engine.kind, engine.address) == ("setting", f"127.0.0.1:1,{kafka.replace('127.0.0.1', 'localhost')}")
    assert await engine.answers()


async def test_a_named_broker_is_asked_the_way_that_settings_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.crt")
    said = asyncio.get_running_loop().create_future()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not said.done():
            said.set_result(await reader.read(1))
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1") as server:
        monkeypatch.setenv(KAFKA_SETTING, f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        for name, value in (("TLS", str(tmp_path)), ("SASL_MECHANISM", "PLAIN"), ("USERNAME", "a"), ("PASSWORD", "b")):
            monkeypatch.setenv(f"PANIER_KAFKA_{name}", value)
        assert not await choose_kafka(tmp_path, print).answers()
    assert said.result() == b"\x16", "that is how a handshake of TLS begins"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({KAFKA_SETTING: "kafka:9092,kafka:"}, "the broker at kafka:9092,kafka: cannot be spoken to"),
        ({KAFKA_SETTING: "kafka:9092", "PANIER_KAFKA_TLS": "/nowhere"}, "PANIER_KAFKA_TLS"),
        ({KAFKA_SETTING: "kafka:9092", "PANIER_KAFKA_SASL_MECHANISM": "PLAIN"}, "PANIER_KAFKA_USERNAME"),
    ],
)
def test_brokers_that_no_waiting_brings_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], said: str
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(EngineError, match=said) as refused:
        choose_kafka(tmp_path, print)
    assert KAFKA_SETTING in refused.value.hint


@pytest.mark.parametrize(
    ("setting", "value"),
    [(f"{POSTGRES_SETTING}_FILE", "/nowhere"), (POSTGRES_SETTING, "postgresql://a:secret@h:port/")],
)
def test_a_database_that_cannot_be_read_out_of_its_setting_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, value: str
) -> None:
    monkeypatch.setenv(setting, value)
    with pytest.raises(EngineError, match=setting) as refused:
        choose_postgres(tmp_path, "", print)
    assert "secret" not in str(refused.value)
