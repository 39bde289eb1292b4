"""A PostgreSQL of the distribution that has certificates: the one of our wheel was built without TLS."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import trustme
from panier_cli.engines.postgres import _unprivileged
from panier_common.ports import free_port

PASSWORD = "0123456789abcdef"

# Plain connections are let in where a URL that falls back to them would be seen to do so: as `plainly`.
_RULES = """\
local all postgres trust
host all plainly 127.0.0.1/32 scram-sha-256
hostssl all panier_cart 127.0.0.1/32 scram-sha-256
hostssl all panier_sender 127.0.0.1/32 cert
hostssl all postgres 127.0.0.1/32 scram-sha-256
"""


@dataclass(frozen=True)
class TlsPostgres:
    """`folder` holds what clients need: ca.crt, stranger.crt (another authority), panier_sender.{crt,key}."""

    port: int
    folder: pathlib.Path

    def url(self, role: str, database: str = "postgres", host: str = "127.0.0.1", **options: str) -> str:
        password = "" if role == "panier_sender" else f":{PASSWORD}"
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return f"postgresql://{role}{password}@{host}:{self.port}/{database}{'?' if query else ''}{query}"


def _binaries() -> pathlib.Path:
    """Debian puts the server where no PATH leads."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    path = str(found[-1]) if found else shutil.which("postgres")
    if path is None:
        pytest.fail("no PostgreSQL with TLS on this machine: apt-get install postgresql")
    return pathlib.Path(path).parent


def _certificates(folder: pathlib.Path) -> None:
    """The server's is for 127.0.0.1 alone, not for localhost."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.crt"))
    trustme.CA().cert_pem.write_to_path(str(folder / "stranger.crt"))
    named = {
        "server": authority.issue_cert("127.0.0.1"),
        "panier_sender": authority.issue_cert("sender.example", common_name="panier_sender"),
        "panier_cart": authority.issue_cert("cart.example", common_name="panier_cart"),
    }
    for name, certificate in named.items():
        certificate.cert_chain_pems[0].write_to_path(str(folder / f"{name}.crt"))
        certificate.private_key_pem.write_to_path(str(folder / f"{name}.key"))
        (folder / f"{name}.key").chmod(0o600)


@contextlib.contextmanager
def tls_postgres(folder: pathlib.Path) -> Iterator[TlsPostgres]:
    programs, port = _binaries(), free_port()
    prefix, user = _unprivileged()
    data, log = folder / "data", folder / "postgres.log"
    data.mkdir(mode=0o700)
    _certificates(folder)
    if user is not None:
        for path in (data, *folder.glob("server.*")):
            os.chown(path, user, user)
    made = subprocess.run(
        [*prefix, programs / "initdb", "-D", data, "-U", "postgres", "--locale=C.UTF-8", "--no-sync"],
        user=user,
        group=user,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    (data / "pg_hba.conf").write_text(_RULES)
    options = {
        "listen_addresses": "localhost",
        "port": str(port),
        "unix_socket_directories": str(data),
        "ssl": "on",
        "ssl_cert_file": str(folder / "server.crt"),
        "ssl_key_file": str(folder / "server.key"),
        "ssl_ca_file": str(folder / "ca.crt"),
        "fsync": "off",
    }
    flags = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    command = [*prefix, str(programs / "postgres"), "-D", str(data), *flags]
    with log.open("wb") as out:
        server = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, user=user, group=user)
    try:
        _set_up(programs / "psql", data, port, server, log)
        yield TlsPostgres(port, folder)
    finally:
        server.terminate()
        try:
            server.wait(30)
        finally:
            server.kill()


def _set_up(
    psql: pathlib.Path, data: pathlib.Path, port: int, server: "subprocess.Popen[bytes]", log: pathlib.Path
) -> None:
    """The roles and databases, by the socket that only the superuser may use."""
    script = f"""
        SET password_encryption = 'scram-sha-256';
        ALTER ROLE postgres PASSWORD '{PASSWORD}';
        CREATE ROLE plainly LOGIN PASSWORD '{PASSWORD}';
        CREATE ROLE panier_cart LOGIN PASSWORD '{PASSWORD}';
        CREATE ROLE panier_sender LOGIN;
        CREATE DATABASE panier_cart OWNER panier_cart;
        CREATE DATABASE panier_sender OWNER panier_sender;
    """
    command = [psql, "-X", "-q", "-h", data, "-p", str(port), "-U", "postgres", "-v", "ON_ERROR_STOP=1", "postgres"]
    until = time.monotonic() + 30
    while True:
        assert server.poll() is None, log.read_text()
        done = subprocess.run([*command, "-c", "SELECT 1"], capture_output=True, check=False)
        if done.returncode == 0:
            break
        assert time.monotonic() < until, done.stderr
        time.sleep(0.1)
    done = subprocess.run(command, input=script.encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
