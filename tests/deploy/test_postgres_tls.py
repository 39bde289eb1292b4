"""TLS to PostgreSQL by nothing but a service's URL, with real certificates, on the distribution's own server.

What docs/howto/tls.md says is what is tried here.
"""

import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import asyncpg
import pytest
from panier_common.postgres import AWAY, create_pool, missing_migrations, why_away
from tls_postgres import TlsPostgres, tls_postgres


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsPostgres]:
    with tls_postgres(tmp_path_factory.mktemp("tls")) as server:
        yield server


def panier_migrate(service: str, url: str, folder: pathlib.Path) -> subprocess.CompletedProcess[str]:
    """The job, which is given its URL as a mounted file."""
    file = folder / "url"
    file.write_text(f"{url}\n")
    return subprocess.run(
        [sys.executable, "-m", "panier_cli", "migrate", "--service", service],
        env={"PATH": os.environ["PATH"], f"PANIER_{service.upper()}_DATABASE_URL_FILE": str(file)},
        capture_output=True,
        text=True,
        check=False,
    )


def verified(server: TlsPostgres, role: str, **options: str) -> str:
    """The URL that the how-to recommends."""
    return server.url(role, role, sslmode="verify-full", sslrootcert=str(server.folder / "ca.crt"), **options)


async def how(url: str) -> asyncpg.Record:
    """How the pool of a service is connected, as the server sees it."""
    pool = await create_pool(url)
    try:
        async with pool.acquire() as db:
            row = await db.fetchrow("SELECT ssl, version, client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            assert row is not None
            return row
    finally:
        pool.terminate()


async def why(url: str) -> str:
    """What a service's readiness says about this URL."""
    pool = await create_pool(url)
    try:
        await missing_migrations(pool, "panier_cart")
    except AWAY as error:
        return why_away(error)
    finally:
        pool.terminate()
    return "ready"


async def test_the_server_is_verified_and_the_service_known_by_its_password(
    server: TlsPostgres, tmp_path: pathlib.Path
) -> None:
    url = verified(server, "panier_cart")
    done = panier_migrate("cart", url, tmp_path)
    assert done.returncode == 0, done.stderr
    assert await why(url) == "ready"
    row = await how(url)
    assert (row["ssl"], row["version"]) == (True, "TLSv1.3")


async def test_the_service_is_known_by_its_certificate(server: TlsPostgres, tmp_path: pathlib.Path) -> None:
    pair = {"sslcert": "panier_sender.crt", "sslkey": "panier_sender.key"}
    url = verified(server, "panier_sender", **{name: str(server.folder / file) for name, file in pair.items()})
    done = panier_migrate("sender", url, tmp_path)
    assert done.returncode == 0, done.stderr
    row = await how(url)
    assert row["ssl"]
    assert "/CN=panier_s" in row["client_dn"]  # the view cuts it off


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sslrootcert": "stranger.crt"}, "certificate is refused (self-signed certificate in certificate chain)"),
        ({"host": "localhost"}, "certificate is refused (Hostname mismatch"),
        ({"sslrootcert": "none.crt"}, "names a file that cannot be read"),
        ({"sslrootcert": ""}, "names a file that cannot be read"),
        ({"sslmode": "verify-most"}, "an option that is not known"),
        ({"sslmode": "disable"}, "or the way of connecting in its URL (sslmode)"),
        ({"role": "panier_sender"}, "refuses the role, the certificate"),
        ({"role": "panier_sender", "sslcert": "panier_cart.crt", "sslkey": "panier_cart.key"}, "the certificate"),
    ],
)
async def test_what_is_wrong_is_said_and_nothing_falls_back(
    server: TlsPostgres, change: dict[str, str], reason: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    role = change.pop("role", "panier_cart")
    host = change.pop("host", "127.0.0.1")
    files = {n: str(server.folder / v) if v and n != "sslmode" else v for n, v in change.items()}
    options = {"sslmode": "verify-full", "sslrootcert": str(server.folder / "ca.crt")} | files
    url = server.url(role, role, host, **{name: value for name, value in options.items() if value})
    said = await why(url)
    assert reason in said
    assert server.url(role)[:40] not in said
    done = panier_migrate(role.removeprefix("panier_"), url, tmp_path)
    assert done.returncode == 1
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_verified_url_never_speaks_in_plain(server: TlsPostgres) -> None:
    """To a server that would let this role in without TLS: only a URL that says nothing of TLS gets in so."""
    for mode in ("require", "verify-ca", "verify-full"):
        stranger = server.url("plainly", sslmode=mode, sslrootcert=str(server.folder / "stranger.crt"))
        assert "certificate is refused" in await why(stranger), mode
    assert (await how(server.url("plainly", sslmode="disable")))["ssl"] is False
    assert (await how(server.url("plainly")))["ssl"] is True, "where the server has TLS it is used, unverified"


async def test_a_server_without_tls_is_not_spoken_to(postgres: str) -> None:
    assert "speaks no TLS" in await why(f"{postgres}?sslmode=require")
