"""The broker's jars: a pinned list, fetched once for all checkouts of a user and checked by sum.

The list is fetched as it stands and never resolved: a resolver picks other versions of some libraries, with
which the broker does not start.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from panier_cli.engines import EngineError, Tell

KAFKA_VERSION = "4.4.0"
_PARALLEL = 8


@dataclass(frozen=True)
class Jar:
    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def filename(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


def pinned() -> list[Jar]:
    """The jars of the broker, as pinned in this package."""
    text = (files("panier_cli.engines") / f"kafka-{KAFKA_VERSION}-jars.txt").read_text("utf-8")
    rows = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
    named = ((coordinates.split(":"), sha256) for coordinates, sha256 in rows)
    return [Jar(group, artifact, version, sha256) for (group, artifact, version), sha256 in named]


def cache_folder() -> Path:
    """What all checkouts of this user share."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "panier"


def _fetch(jar: Jar, repository: Path, into: Path) -> None:
    from jgo.maven import MavenContext

    mirror = os.environ.get("PANIER_MAVEN_REPOSITORY")
    remote = {"mirror": mirror} if mirror else None
    context = MavenContext(repo_cache=repository, remote_repos=remote, timeout=60)
    try:
        coordinates = f"{jar.group}:{jar.artifact}:{jar.version}"
        path = Path(context.create_dependency(coordinates).artifact.resolve())
        actual = hashlib.sha256(path.read_bytes()).hexdigest()
    except Exception as error:  # whatever the resolver and its HTTP client raise, the answer is the same
        raise EngineError(
            f"{jar.filename} could not be fetched: {error}",
            "a network is needed once; set PANIER_MAVEN_REPOSITORY for a mirror, or "
            "PANIER_KAFKA_BOOTSTRAP_SERVERS for a broker you have",
        ) from error
    if actual != jar.sha256:
        raise EngineError(
            f"{jar.filename} has the wrong checksum: {actual} instead of {jar.sha256}",
            "the Maven repository or something on the way to it serves an altered file; it was thrown away",
        )
    os.replace(path, into / jar.filename)


def fetch_jars(tell: Tell, cache: Path | None = None) -> Path:
    """The folder with the broker's jars, complete. Two starts at once wait for each other."""
    folder = (cache or cache_folder()) / f"kafka-{KAFKA_VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    jars = pinned()
    # A jar has its name only once its sum was right, so a name that is there need not be checked again.
    if all((folder / jar.filename).exists() for jar in jars):
        return folder
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        missing = [jar for jar in jars if not (folder / jar.filename).exists()]
        if missing:
            tell(f"fetching Apache Kafka {KAFKA_VERSION} (45 MB, once) into {folder}")
            _fetch_all(missing, folder, tell)
    return folder


def _fetch_all(jars: list[Jar], folder: Path, tell: Tell) -> None:
    if bundle := os.environ.get("SSL_CERT_FILE"):
        os.environ.setdefault("REQUESTS_CA_BUNDLE", bundle)
    repository = Path(tempfile.mkdtemp(prefix=".fetching-", dir=folder))
    try:
        with ThreadPoolExecutor(_PARALLEL) as pool:
            waiting = [pool.submit(_fetch, jar, repository, folder) for jar in jars]
            try:
                for done, future in enumerate(as_completed(waiting), 1):
                    future.result()
                    if done % 10 == 0 or done == len(jars):
                        tell(f"fetched {done} of {len(jars)} jars")
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    finally:
        shutil.rmtree(repository, ignore_errors=True)
