"""The SQLite file behind the simulator's memory: its tables, and transactions that many changes share.

Changes of one moment are committed together, a few milliseconds later: a commit costs more than what it holds.
Whoever promises something to the outside (an answer of the Graph API) waits for `settled` first, so that a
simulator that is killed goes on from all that it said.
"""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

COMMIT_SECONDS = 0.003
SCHEMA = """
CREATE TABLE IF NOT EXISTS customer (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, wa_id TEXT UNIQUE, user_id TEXT NOT NULL UNIQUE,
    created_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS customer_state (customer TEXT PRIMARY KEY, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS message (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, wamid TEXT NOT NULL UNIQUE, number TEXT NOT NULL,
    customer TEXT NOT NULL, direction TEXT NOT NULL, at REAL NOT NULL, state TEXT NOT NULL,
    body TEXT NOT NULL, error TEXT
);
CREATE INDEX IF NOT EXISTS message_chat ON message (customer, number, seq);
CREATE INDEX IF NOT EXISTS message_unread ON message (customer, number, direction, seq)
    WHERE state NOT IN ('read', 'failed');
CREATE INDEX IF NOT EXISTS message_waiting ON message (state) WHERE direction = 'out' AND state = 'sent';
CREATE TABLE IF NOT EXISTS order_message (
    number TEXT NOT NULL, reference TEXT NOT NULL, message INTEGER NOT NULL, PRIMARY KEY (number, reference, message)
);
CREATE TABLE IF NOT EXISTS refusal (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, number TEXT NOT NULL, recipient TEXT NOT NULL,
    callback TEXT, code INTEGER NOT NULL, details TEXT NOT NULL, injected INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS hook (
    id INTEGER PRIMARY KEY AUTOINCREMENT, target TEXT NOT NULL, lane TEXT NOT NULL, about TEXT NOT NULL,
    body BLOB NOT NULL, created_at REAL NOT NULL, due_at REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS media (
    id TEXT PRIMARY KEY, number TEXT NOT NULL, mime_type TEXT NOT NULL, content BLOB NOT NULL,
    at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS commerce (
    number TEXT PRIMARY KEY, cart INTEGER NOT NULL, catalog INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS payment (
    order_id TEXT PRIMARY KEY, state TEXT NOT NULL, minor INTEGER NOT NULL, currency TEXT NOT NULL,
    at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS feed (shop TEXT PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS number_state (number TEXT PRIMARY KEY, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS template (
    id TEXT PRIMARY KEY, account TEXT NOT NULL, name TEXT NOT NULL, language TEXT NOT NULL, document TEXT NOT NULL,
    UNIQUE (account, name, language)
);
CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
# Columns that files of earlier versions lack.
ADDED = (
    ("message", "fault_key", "TEXT NOT NULL DEFAULT ''"),
    ("media", "inbound", "INTEGER NOT NULL DEFAULT 0"),
    ("message", "waited", "REAL NOT NULL DEFAULT 0"),
    ("message", "told_at", "REAL"),
)


class Database:
    """One connection, used on one event loop. Without a running loop each statement is its own transaction."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(folder / "simulator.sqlite3", isolation_level=None, timeout=5)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(SCHEMA)
        for table, column, kind in ADDED:
            if column not in {row[1] for row in self._db.execute(f"PRAGMA table_info({table})")}:
                self._db.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
        self._commit_due = False
        self._waiting: list[asyncio.Future[None]] = []

    def close(self) -> None:
        self._commit()
        self._db.close()

    async def settled(self) -> None:
        """Returns once all that was written so far is in the file."""
        if self._commit_due:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            await future

    @contextmanager
    def together(self) -> Iterator[None]:
        """All that the block writes, or none of it; may be used inside another."""
        self._begin()
        self._db.execute("SAVEPOINT block")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK TO block")
            raise
        finally:
            self._db.execute("RELEASE block")

    def _write(self, sql: str, *values: object) -> sqlite3.Cursor:
        self._begin()
        return self._db.execute(sql, values)

    def _all(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return self._db.execute(sql, values).fetchall()

    def _one(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._db.execute(sql, values).fetchone()
        return row

    def _begin(self) -> None:
        """Open the transaction of this moment, to be committed when the moment is over."""
        if self._commit_due:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._db.execute("BEGIN")
        self._commit_due = True
        loop.call_later(COMMIT_SECONDS, self._commit)

    def _commit(self) -> None:
        if not self._commit_due:
            return
        self._commit_due = False
        waiting, self._waiting = self._waiting, []
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._db.execute("ROLLBACK")
            for future in waiting:
                if not future.done():
                    future.set_exception(error)
            raise
        for future in waiting:
            if not future.done():
                future.set_result(None)
