"""The `panier` command inside the test's own process, over a server that stands in for the services."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from panier_cli.__main__ import main
from panier_cli.stack.services import SERVICES

from .fake_services import TOKEN, FakeServices, serving


@dataclass
class Done:
    """What a command left behind."""

    exit: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(self.err)["error"]
        return found


Panier = Callable[..., Done]


@pytest.fixture
def panier(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Panier:
    """Runs the command; no stack is running, and no service is named."""
    monkeypatch.setenv("PANIER_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("PANIER_ADMIN_TOKEN", "PANIER_GRAPH_URL", *(s.setting("ADMIN_URL") for s in SERVICES)):
        monkeypatch.delenv(name, raising=False)

    def run(*words: str) -> Done:
        monkeypatch.setattr("sys.argv", ["panier", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Done(int(ended.value.code or 0), said.out, said.err)

    return run


@pytest.fixture
def services(panier: Panier, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServices]:
    """All services at one address, as `panier` is told to find them."""
    with serving() as fake:
        for service in SERVICES:
            monkeypatch.setenv(service.setting("ADMIN_URL"), fake.url)
        monkeypatch.setenv("PANIER_ADMIN_TOKEN", TOKEN)
        yield fake
