#!/usr/bin/env python3
"""Sets up a fresh machine: finds or fetches uv, then installs the locked dependencies into ``.venv``.

Run by ``./panier`` and the Makefile with whatever Python 3.11 or later the machine has, before anything is
installed: only the standard library may be imported here. Nothing is written outside the checkout but uv
itself, into a private folder of the user's cache.
"""

from __future__ import annotations

import base64
import configparser
import hashlib
import os
import platform
import re
import shutil
import ssl
import subprocess
import sys
import sysconfig
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
STAMP = VENV / "panier-stamp"

UV_VERSION = "0.13.9"
UV_LEAST = (0, 13)
# The wheels of uv by platform, each pinned: what an index serves is believed only if it hashes to this.
UV_WHEELS = {
    ("linux", "x86_64", "glibc"): (
        "uv-0.13.9-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19",
    ),
    ("linux", "x86_64", "musl"): (
        "uv-0.13.9-py3-none-musllinux_1_1_x86_64.whl",
        "2c45530751517d6c3bbc69a19473f6effe47cce047bede01ffd8af7ea7b36b25",
    ),
    ("linux", "aarch64", "glibc"): (
        "uv-0.13.9-py3-none-manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64.whl",
        "5435c5ce14a56431208ca0996416d310f1598e8c2c8ba707688985a16bb82dbe",
    ),
    ("linux", "aarch64", "musl"): (
        "uv-0.13.9-py3-none-manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64.whl",
        "5435c5ce14a56431208ca0996416d310f1598e8c2c8ba707688985a16bb82dbe",
    ),
    ("darwin", "x86_64", ""): (
        "uv-0.13.9-py3-none-macosx_10_12_x86_64.whl",
        "c16ed11e013557536b3e60065f1b912f6407bd6518e041b961e23ef9e6b4fbf5",
    ),
    ("darwin", "arm64", ""): (
        "uv-0.13.9-py3-none-macosx_11_0_arm64.whl",
        "66c512266d633bef48384a1f53003f41f2a8e7b36fe6e7fbfd3e0fd52d96fa63",
    ),
}
DEFAULT_INDEX = "https://pypi.org/simple"


class BootstrapError(Exception):
    """The machine cannot be set up; the message says why and what to do."""


def say(text: str) -> None:
    print(f"panier: {text}", file=sys.stderr, flush=True)


# -- where packages come from ---------------------------------------------------------------------------


def pip_files(env: Mapping[str, str], home: Path) -> list[Path]:
    """pip's configuration files, the strongest first."""
    config = Path(env.get("XDG_CONFIG_HOME") or home / ".config")
    named = [Path(env["PIP_CONFIG_FILE"])] if env.get("PIP_CONFIG_FILE") else []
    return [
        *named,
        Path(sys.prefix) / "pip.conf",
        config / "pip" / "pip.conf",
        home / "Library" / "Application Support" / "pip" / "pip.conf",
        home / ".pip" / "pip.conf",
        Path("/etc/pip.conf"),
        Path("/etc/xdg/pip/pip.conf"),
    ]


def pip_setting(name: str, files: list[Path]) -> str | None:
    """One setting of pip's configuration files, from the first that has it."""
    for path in files:
        # pip reads its files without interpolation: a password may hold a percent sign.
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, OSError, UnicodeDecodeError):
            continue
        for section in ("install", "global"):
            if value := parser.get(section, name, fallback="").strip():
                return value
    return None


def uv_index(env: Mapping[str, str], home: Path) -> str | None:
    """The default index of the user's own uv configuration, which uv itself will honour as well."""
    import tomllib  # not at the top: an old Python should get as far as the message about its age

    config = Path(env.get("XDG_CONFIG_HOME") or home / ".config")
    path = Path(env["UV_CONFIG_FILE"]) if env.get("UV_CONFIG_FILE") else config / "uv" / "uv.toml"
    try:
        settings = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    for index in settings.get("index", []):
        if index.get("default"):
            return str(index["url"])
    return str(settings["index-url"]) if "index-url" in settings else None


def package_index(env: Mapping[str, str], home: Path) -> str | None:
    """The package index that the user has set, for uv or for pip; None when it is the usual one."""
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        if index := env.get(name, "").strip():
            return index
    if configured := uv_index(env, home):
        return configured
    return env.get("PIP_INDEX_URL", "").strip() or pip_setting("index-url", pip_files(env, home))


def certificates(env: Mapping[str, str], home: Path) -> str | None:
    """The bundle of certificates that the user has set; None for the system's."""
    for name in ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"):
        if bundle := env.get(name, "").strip():
            return bundle
    return pip_setting("cert", pip_files(env, home))


# -- fetching uv ----------------------------------------------------------------------------------------


class Links(HTMLParser):
    """The links of an index page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]


def link_to(page: str, address: str, filename: str) -> str | None:
    """The address of one file on an index page that was found at ``address``."""
    links = Links()
    links.feed(page)
    for link in links.found:
        full = urljoin(address, link)
        if unquote(urlsplit(full).path).rpartition("/")[2] == filename:
            return full
    return None


def fetch(url: str, cafile: str | None) -> tuple[bytes, str]:
    """A document and the address it was found at; credentials inside the URL go into a header."""
    parts = urlsplit(url)
    headers = {"User-Agent": f"panier-bootstrap uv/{UV_VERSION}", "Accept": "text/html, */*;q=0.1"}
    if parts.username:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the user's own index, file: included
    context = ssl.create_default_context(cafile=cafile) if url.startswith("https:") else None
    with urllib.request.urlopen(request, timeout=60, context=context) as answer:  # noqa: S310
        return answer.read(), answer.geturl()


def same_credentials(index: str, link: str) -> str:
    """The link with the index's credentials, when it leads to the same host and has none of its own."""
    ours, theirs = urlsplit(index), urlsplit(link)
    if ours.username and not theirs.username and ours.hostname == theirs.hostname:
        return urlunsplit(theirs._replace(netloc=f"{ours.netloc.rpartition('@')[0]}@{theirs.netloc}"))
    return link


def wheel_for(system: str, machine: str, libc: str) -> tuple[str, str]:
    """The file name and checksum of uv's wheel for a platform."""
    machine = {"amd64": "x86_64"}.get(machine.lower(), machine.lower())
    if system == "linux":
        machine = {"arm64": "aarch64"}.get(machine, machine)
        libc = "glibc" if libc == "glibc" else "musl"
    else:
        libc = ""
    try:
        return UV_WHEELS[system, machine, libc]
    except KeyError:
        raise BootstrapError(
            f"no uv is known for this platform ({system} {machine}). Install uv {UV_VERSION} by hand, "
            "so that `uv --version` works, and run this again."
        ) from None


def download_wheel(index: str, filename: str, sha256: str, cafile: str | None) -> bytes:
    """uv's wheel from an index, checked against the pinned sum."""
    try:
        page, address = fetch(index.rstrip("/") + "/uv/", cafile)
        link = link_to(page.decode("utf-8", "replace"), address, filename)
        if link is None:
            raise BootstrapError(f"the package index does not have {filename}. Install uv {UV_VERSION} by hand.")
        wheel, _ = fetch(same_credentials(index, link), cafile)
    except (OSError, urllib.error.URLError) as error:
        raise BootstrapError(
            f"uv could not be fetched: {error}. A network is needed once; behind a proxy or mirror set "
            "HTTPS_PROXY, PIP_INDEX_URL and SSL_CERT_FILE as for pip. Or install uv by hand."
        ) from error
    actual = hashlib.sha256(wheel).hexdigest()
    if actual != sha256:
        raise BootstrapError(
            f"{filename} has the wrong checksum: {actual} instead of {sha256}. It was thrown away; "
            "the package index or something on the way to it serves an altered file."
        )
    return wheel


def unpack_uv(wheel: bytes, folder: Path) -> Path:
    """Put the wheel's binary into the folder, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile() as file:
        file.write(wheel)
        with (
            zipfile.ZipFile(file) as archive,
            archive.open(f"uv-{UV_VERSION}.data/scripts/uv") as binary,
            tempfile.NamedTemporaryFile(dir=folder, delete=False) as out,
        ):
            shutil.copyfileobj(binary, out)
    os.chmod(out.name, 0o700)
    target = folder / "uv"
    os.replace(out.name, target)
    return target


def cache_folder(env: Mapping[str, str], home: Path) -> Path:
    """Where the user's checkouts share what they fetched."""
    return Path(env.get("XDG_CACHE_HOME") or home / ".cache") / "panier"


def uv_version(uv: str) -> tuple[int, ...] | None:
    """The version of a uv, or None when it does not run."""
    try:
        done = subprocess.run([uv, "--version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.match(r"uv (\d+)\.(\d+)\.(\d+)", done.stdout)
    return tuple(int(part) for part in found.groups()) if found and done.returncode == 0 else None


def find_uv(env: Mapping[str, str], home: Path) -> Path:
    """A uv that is new enough: the one on the PATH, the one fetched before, or one fetched now."""
    on_path = shutil.which("uv", path=env.get("PATH"))
    if on_path and (uv_version(on_path) or ()) >= UV_LEAST:
        return Path(on_path)
    folder = cache_folder(env, home) / f"uv-{UV_VERSION}"
    if uv_version(str(folder / "uv")):
        return folder / "uv"
    libc = platform.libc_ver()[0] if sys.platform == "linux" else ""
    filename, sha256 = wheel_for(sys.platform, platform.machine(), libc)
    say(f"fetching uv {UV_VERSION} (about 18 MB, once) into {folder}")
    wheel = download_wheel(package_index(env, home) or DEFAULT_INDEX, filename, sha256, certificates(env, home))
    return unpack_uv(wheel, folder)


# -- installing what is locked --------------------------------------------------------------------------


def locked_state(root: Path) -> str:
    """A sum over everything that decides what is installed."""
    digest = hashlib.sha256()
    files = [root / "uv.lock", root / "pyproject.toml"]
    files += sorted(root.glob("*/pyproject.toml")) + sorted(root.glob("*/*/pyproject.toml"))
    for path in files:
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def uv_environment(env: Mapping[str, str], home: Path) -> dict[str, str]:
    """What uv is told: this machine's Python, this checkout's ``.venv``, the index and the certificates."""
    result = {key: value for key, value in env.items() if key != "VIRTUAL_ENV"}
    result |= {"UV_PROJECT_ENVIRONMENT": str(VENV), "UV_PYTHON_DOWNLOADS": "never"}
    if not (VENV / "bin" / "python").exists():
        result["UV_PYTHON"] = sys.executable
    if index := package_index(env, home):
        result.setdefault("UV_DEFAULT_INDEX", index)
    if bundle := certificates(env, home):
        result.setdefault("SSL_CERT_FILE", bundle)
    return result


def run_uv(command: list[str], env: Mapping[str, str]) -> None:
    if subprocess.run(command, cwd=ROOT, env=env, check=False).returncode != 0:
        raise BootstrapError(
            "the locked dependencies could not be installed (see above). A network is needed once; behind a "
            "proxy or mirror set HTTPS_PROXY, PIP_INDEX_URL and SSL_CERT_FILE as for pip."
        )


def install(uv: Path, env: Mapping[str, str], mirrored: bool) -> None:
    """Bring ``.venv`` to what ``uv.lock`` says."""
    if not mirrored:
        run_uv([str(uv), "sync", "--frozen", "--all-packages", "--quiet"], env)
        return
    # A lock names the files at the index it was made from. From a mirror the same files are installed by
    # name, version and hash instead, and the workspace's own packages after them.
    with tempfile.TemporaryDirectory() as folder:
        names = Path(folder) / "requirements.txt"
        export = ["export", "--frozen", "--all-packages", "--no-emit-workspace", "--no-header", "--quiet"]
        run_uv([str(uv), *export, "--output-file", str(names)], env)
        if not (VENV / "bin" / "python").exists():
            run_uv([str(uv), "venv", "--quiet", str(VENV)], env)
        into = ["--quiet", "--python", str(VENV / "bin" / "python")]
        run_uv([str(uv), "pip", "sync", "--require-hashes", *into, str(names)], env)
        members = [f"--editable={path.parent}" for path in sorted(ROOT.glob("*/**/pyproject.toml")) if ours(path)]
        run_uv([str(uv), "pip", "install", "--no-deps", *into, *members], env)


def ours(path: Path) -> bool:
    """Whether a project file belongs to a member of the workspace."""
    return not any(part.startswith(".") for part in path.relative_to(ROOT).parts)


def main() -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 - here an older Python can still turn up
        say(f"Python 3.11 or later is needed, this is {platform.python_version()} ({sys.executable})")
        return 1
    if sysconfig.get_platform().startswith("win"):
        say("Windows is not supported; use Linux, macOS or WSL")
        return 1
    home = Path.home()
    state = locked_state(ROOT)
    try:
        if STAMP.exists() and STAMP.read_text("utf-8") == state and (VENV / "bin" / "python").exists():
            STAMP.touch()
            return 0
        uv = find_uv(os.environ, home)
        say("installing the locked dependencies into .venv (a few minutes the first time)")
        install(uv, uv_environment(os.environ, home), package_index(os.environ, home) is not None)
        STAMP.write_text(state, "utf-8")
    except BootstrapError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
