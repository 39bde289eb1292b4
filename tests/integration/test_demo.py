"""`panier demo` as a newcomer runs it: the chat, the trace and the sale; and a clear failure without sales."""

import os
import subprocess

import pytest
from stack import ROOT

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


def demo(*words: str) -> "subprocess.CompletedProcess[str]":
    # The demo brings its own ports, folder and collector: what is set outside must not decide.
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PANIER_", "OTEL_"))}
    return subprocess.run([ROOT / "panier", "demo", *words], env=env, capture_output=True, text=True, check=False)


def test_the_demo_ends_with_the_order_paid_its_trace_and_the_sale() -> None:
    done = demo()
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    for shown in ("POST /webhooks/whatsapp", "process outbound", "send stock", "€"):
        assert shown in done.stdout, f"the demo did not show {shown}"


def test_the_demo_fails_within_a_minute_when_sales_is_away() -> None:
    done = demo("--without", "sales")
    assert done.returncode == 1
    assert "sales" in done.stderr + done.stdout
