"""The set-up of a fresh machine: where packages come from, and what is done with what an index serves."""

import hashlib
import importlib.util
import io
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest

_SPEC = importlib.util.spec_from_file_location("bootstrap", Path(__file__).parents[1] / "bootstrap.py")
assert _SPEC is not None
assert _SPEC.loader is not None
bootstrap: ModuleType = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(bootstrap)


def _wheel() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"uv-{bootstrap.UV_VERSION}.data/scripts/uv", "#!/bin/sh\necho uv 0.13.9\n")
    return file.getvalue()


WHEEL = _wheel()
FILENAME = "uv-0.13.9-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"


class _Index(BaseHTTPRequestHandler):
    """An index with one file, open only to one user."""

    def do_GET(self) -> None:
        if self.headers.get("Authorization") != "Basic bWU6c2UvY3JldA==":  # me:se/cret
            self.send_response(401)
            self.end_headers()
            return
        body = WHEEL if self.path.startswith("/files/") else f'<a href="../../files/{FILENAME}#x">u</a>'.encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def index() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Index)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://me:se%2Fcret@127.0.0.1:{server.server_port}/simple"
    server.shutdown()
    server.server_close()


def test_takes_the_wheel_whose_checksum_is_pinned(index: str, tmp_path: Path) -> None:
    wheel = bootstrap.download_wheel(index, FILENAME, hashlib.sha256(WHEEL).hexdigest(), None)
    uv = bootstrap.unpack_uv(wheel, tmp_path / "uv")
    assert bootstrap.uv_version(str(uv)) == (0, 13, 9)
    assert [path.name for path in (tmp_path / "uv").iterdir()] == ["uv"]


def test_refuses_a_wheel_with_another_checksum(index: str) -> None:
    with pytest.raises(bootstrap.BootstrapError, match="wrong checksum"):
        bootstrap.download_wheel(index, FILENAME, "0" * 64, None)


def test_says_what_to_do_when_the_index_lacks_the_file_or_does_not_answer(index: str) -> None:
    with pytest.raises(bootstrap.BootstrapError, match=r"does not have other\.whl"):
        bootstrap.download_wheel(index, "other.whl", "0" * 64, None)
    with pytest.raises(bootstrap.BootstrapError, match="PIP_INDEX_URL"):
        bootstrap.download_wheel(index.replace("me:", "you:"), FILENAME, "0" * 64, None)


@pytest.mark.parametrize(
    ("env", "pip", "uv", "expected"),
    [
        ({}, "", "", None),
        ({}, "[global]\nindex-url = https://pip.example/100%/\n", "", "https://pip.example/100%/"),
        ({}, "[install]\nindex-url = https://i.example\n[global]\nindex-url = https://g.example\n", "",
         "https://i.example"),
        ({"PIP_INDEX_URL": "https://env.example"}, "[global]\nindex-url = https://pip.example\n", "",
         "https://env.example"),
        ({"PIP_INDEX_URL": "https://env.example"}, "",
         '[[index]]\nurl = "https://uv.example"\ndefault = true\n', "https://uv.example"),
        ({"PIP_INDEX_URL": "https://env.example", "UV_INDEX_URL": "https://uvenv.example"}, "",
         'index-url = "https://uv.example"\n', "https://uvenv.example"),
        ({"UV_DEFAULT_INDEX": "https://first.example", "UV_INDEX_URL": "https://second.example"}, "", "",
         "https://first.example"),
        ({}, "not a configuration file", "nor = this", None),
    ],
)  # fmt: skip
def test_finds_the_users_package_index(
    env: dict[str, str],
    pip: str,
    uv: str,
    expected: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for folder, text in (("pip/pip.conf", pip), ("uv/uv.toml", uv)):
        if text:
            path = tmp_path / ".config" / folder
            path.parent.mkdir(parents=True)
            path.write_text(text)
    home_only = [tmp_path / ".config" / "pip" / "pip.conf"]
    monkeypatch.setattr(bootstrap, "pip_files", lambda env, home: home_only)
    assert bootstrap.package_index(env, tmp_path) == expected


def test_reads_the_users_own_pip_file_before_the_machines(tmp_path: Path) -> None:
    files = bootstrap.pip_files({"PIP_CONFIG_FILE": "/given.conf"}, tmp_path)
    assert files[0] == Path("/given.conf")
    assert files.index(tmp_path / ".config/pip/pip.conf") < files.index(Path("/etc/pip.conf"))


@pytest.mark.parametrize(
    ("platform", "part"),
    [
        (("linux", "x86_64", "glibc"), "manylinux_2_17_x86_64"),
        (("linux", "x86_64", ""), "musllinux_1_1_x86_64"),
        (("linux", "arm64", "glibc"), "aarch64"),
        (("darwin", "arm64", ""), "macosx_11_0_arm64"),
        (("darwin", "x86_64", "anything"), "macosx_10_12_x86_64"),
    ],
)
def test_knows_the_wheel_of_each_platform(platform: tuple[str, str, str], part: str) -> None:
    filename, sha256 = bootstrap.wheel_for(*platform)
    assert part in filename
    assert len(sha256) == 64


def test_an_unknown_platform_is_told_to_install_uv() -> None:
    with pytest.raises(bootstrap.BootstrapError, match="Install uv"):
        bootstrap.wheel_for("sunos5", "sparc", "")


def test_installs_again_only_when_what_is_locked_changes(tmp_path: Path) -> None:
    (tmp_path / "libs" / "common").mkdir(parents=True)
    for name in ("uv.lock", "pyproject.toml", "libs/common/pyproject.toml"):
        (tmp_path / name).write_text("one")
    before = bootstrap.locked_state(tmp_path)
    assert bootstrap.locked_state(tmp_path) == before
    (tmp_path / "libs/common/pyproject.toml").write_text("two")
    assert bootstrap.locked_state(tmp_path) != before


def test_tells_uv_the_index_that_only_pip_knew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    env = bootstrap.uv_environment({"PIP_INDEX_URL": "https://pip.example", "VIRTUAL_ENV": "/other"}, tmp_path)
    assert env["UV_DEFAULT_INDEX"] == "https://pip.example"
    assert env["UV_PYTHON_DOWNLOADS"] == "never"
    assert "VIRTUAL_ENV" not in env
