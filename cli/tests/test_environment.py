"""What services are told: ours where the user says nothing, the user's wherever there is a word."""

from pathlib import Path

import pytest
from panier_cli.errors import Refused
from panier_cli.stack.environment import Wiring, given, service_environment, wants_traces
from panier_cli.stack.services import SERVICES

CART = next(service for service in SERVICES if service.name == "cart")
RECEIVER = "http://127.0.0.1:4318"


def told(env: dict[str, str], traces: str | None = RECEIVER) -> dict[str, str]:
    ports = {"simulator": 1, "ingest": 2, "console": 3}
    wiring = Wiring(Path("data"), Path("shops.toml"), "kafka:9092", ports, traces=traces)
    return {name: value for name, value in service_environment(CART, 4, wiring, env).items() if name[:4] == "OTEL"}


def test_traces_a_tenth_of_the_actions_by_itself() -> None:
    assert told({}) == {
        "OTEL_EXPORTER_OTLP_ENDPOINT": RECEIVER,
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.1",
    }


def test_the_users_sampler_and_share_win() -> None:
    sampler = told({"OTEL_TRACES_SAMPLER": "traceidratio"})
    assert "OTEL_TRACES_SAMPLER" not in sampler
    assert "OTEL_TRACES_SAMPLER_ARG" not in sampler
    assert "OTEL_TRACES_SAMPLER_ARG" not in told({"OTEL_TRACES_SAMPLER_ARG": "0.5"})
    assert "OTEL_METRICS_EXPORTER" not in told({"OTEL_METRICS_EXPORTER": "otlp"})


def test_says_nothing_without_a_receiver() -> None:
    assert told({}, traces=None) == {}


@pytest.mark.parametrize(
    ("env", "wanted"),
    [
        ({}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, True),
        ({"OTEL_SERVICE_NAME": "x"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, False),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, False),
        ({"OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_SDK_DISABLED": "TRUE"}, False),
    ],
)
def test_receives_traces_unless_the_user_sends_them_elsewhere(env: dict[str, str], wanted: bool) -> None:
    assert wants_traces(env) is wanted


def test_a_file_that_is_not_there_is_named_by_its_setting(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(" postgresql://h/d\n")
    assert given({"PANIER_X_FILE": str(tmp_path / "url")}, "PANIER_X") == "postgresql://h/d"
    with pytest.raises(Refused, match=r"PANIER_X_FILE cannot be read: .*ulr") as refused:
        given({"PANIER_X_FILE": str(tmp_path / "ulr")}, "PANIER_X")
    assert refused.value.hint
