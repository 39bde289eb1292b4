"""A simulated PostgreSQL server with its connections: what asyncpg offers of one, as far as the product asks for it.

A request travels to the server, which does it whether or not whoever asked is still alive, and the answer travels
back. Transactions are READ COMMITTED with row locks; whoever waits in a circle gets a deadlock; a connection idle in
its transaction for 5 s is ended; a server that is away refuses everybody and has rolled back what was open.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg

from panier_proof.simulated.scheduler import ACTOR, SimulatedLoop
from panier_proof.simulated.sql import Compiler, Run
from panier_proof.simulated.tables import Blocked, Table, Transaction

IDLE_SECONDS = 5.0
DEADLOCK_SECONDS = 1.0


class Server:
    """One service's database. `away` while the engine is down."""

    def __init__(
        self, loop: SimulatedLoop, tables: dict[str, Table], clock: Callable[[], datetime], latency: float = 0.0005
    ) -> None:
        self.loop = loop
        self.tables = tables
        self.clock = clock
        self.latency = latency
        self.away = False
        self.open: set[Connection] = set()
        self.statements = 0
        self.told: list[tuple[str, Sequence[Any]]] | None = None  # everything that was asked, for the conformance suite
        self._compiled: dict[str, Run] = {}

    def compiled(self, text: str) -> Run:
        run = self._compiled.get(text)
        if run is None:
            known = SPECIAL.get(text.strip().split("(")[0].strip())
            try:
                run = known or Compiler(self.tables).compile(text, self.clock, self.loop.random)
            except Exception as error:
                error.add_note(text)
                self.loop.failures.append(error)
                raise
            self._compiled[text] = run
        return run

    def crash(self) -> None:
        """Everybody's connection is gone, and what they had not committed."""
        self.away = True
        for connection in list(self.open):
            connection.lose()

    def travel(self) -> float:
        return self.latency * (0.5 + self.loop.random.random())

    def rows(self, table: str) -> list[dict[str, Any]]:
        """What is committed, for who judges."""
        made = self.tables[table]
        found = []
        for row in made.rows.values():
            values = row.now if row.holder is None else row.was
            if values is not None:
                found.append(dict(zip(made.columns, values, strict=True)))
        return found


def _nothing(transaction: Transaction, arguments: Sequence[Any]) -> tuple[str, list[Any]]:
    return "SELECT 0", []


# Statements that mean nothing here: settings, planner, and full-text search, which finds nothing.
SPECIAL: dict[str, Run] = {
    "SELECT set_config": _nothing,
    "SELECT pg_advisory_xact_lock": _nothing,
    "ANALYZE product, vocabulary": _nothing,
    "WITH spoken AS": _nothing,
}


class Connection:
    """One connection, as asyncpg shows it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = server.loop
        self._transaction: Transaction | None = None
        self._lost = False
        self._answered_at: float | None = None  # None while a request is under way
        self._watched = False
        server.open.add(self)
        self.actor = ACTOR.get()
        if self.actor is not None:
            self.actor.at_death.append(self._gone)

    async def fetch(self, text: str, *arguments: Any) -> list[Any]:
        answer: list[Any] = (await self._ask(text, arguments))[1]
        return answer

    async def fetchrow(self, text: str, *arguments: Any) -> Any:
        rows = (await self._ask(text, arguments))[1]
        return rows[0] if rows else None

    async def fetchval(self, text: str, *arguments: Any) -> Any:
        rows = (await self._ask(text, arguments))[1]
        return rows[0][0] if rows else None

    async def execute(self, text: str, *arguments: Any) -> str:
        status: str = (await self._ask(text, arguments))[0]
        return status

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        await self._request(self._begin)
        try:
            yield
        except BaseException:
            if not self._lost:
                await self._request(self._end, False)
            raise
        await self._request(self._end, True)

    async def _ask(self, text: str, arguments: Sequence[Any]) -> Any:
        if self._server.told is not None:
            self._server.told.append((text, arguments))
        return await self._request(self._run, self._server.compiled(text), arguments)

    async def _request(self, what: Callable[..., Any], *arguments: Any) -> Any:
        if self._lost:
            raise _closed()
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._loop.of_world(self._server.travel(), what, answer, *arguments)
        return await answer

    # The server's side: never awaited, done whoever lives.

    def _answer(self, answer: "asyncio.Future[Any]", result: Any, error: BaseException | None = None) -> None:
        self._loop.of_world(self._server.travel(), self._arrive, answer, result, error)
        self._answered_at = self._loop.now
        if self._transaction is not None and not self._watched:
            self._watched = True
            self._loop.of_world(IDLE_SECONDS, self._watch)

    def _arrive(self, answer: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
        """An answer on its way is lost with the connection, whatever was done: also that of a commit."""
        if self._lost:
            result, error = None, _closed()
        _settle(answer, result, error)

    def _watch(self) -> None:
        """End the connection once it has been idle in its transaction for too long."""
        self._watched = False
        if self._transaction is not None and not self._lost:
            left = IDLE_SECONDS if self._answered_at is None else self._answered_at + IDLE_SECONDS - self._loop.now
            if left <= 0:
                self.lose()
            else:
                self._watched = True
                self._loop.of_world(left, self._watch)

    def _begin(self, answer: "asyncio.Future[Any]") -> None:
        if not self._is_lost(answer):
            self._transaction = Transaction(self._server.clock())
            self._answer(answer, None)
            self._loop.passes(self.actor, "begun")

    def _end(self, answer: "asyncio.Future[Any]", commit: bool) -> None:
        if not self._is_lost(answer):
            transaction, self._transaction = self._transaction, None
            if transaction is not None:
                transaction.end(commit=commit and not transaction.failed)
            self._answer(answer, None)
            self._loop.passes(self.actor, "committed")

    def _run(self, answer: "asyncio.Future[Any]", run: Run, arguments: Sequence[Any]) -> None:
        if self._is_lost(answer):
            return
        transaction = self._transaction or Transaction(self._server.clock())
        if transaction.failed:
            self._answer(answer, None, asyncpg.InFailedSQLTransactionError("current transaction is aborted"))
            return
        self._server.statements += 1
        transaction.look()
        self._try(answer, run, arguments, transaction, self._loop.now)

    def _try(
        self, answer: "asyncio.Future[Any]", run: Run, arguments: Sequence[Any], transaction: Transaction, since: float
    ) -> None:
        if self._is_lost(answer):
            return
        before = len(transaction.changes)
        try:
            result = run(transaction, arguments)
        except Blocked as blocked:
            transaction.undo(before)
            self._wait(answer, run, arguments, transaction, since, blocked.holder)
            return
        except asyncpg.PostgresError as error:
            transaction.undo(before)
            transaction.failed = True
            if self._transaction is None:
                transaction.end(commit=False)
            self._answer(answer, None, error)
            return
        except Exception as error:
            error.add_note(f"{run} {arguments!r:.500}")
            self._loop.failures.append(error)
            return
        if self._transaction is None:
            transaction.end(commit=True)
        self._answer(answer, result)

    def _wait(
        self,
        answer: "asyncio.Future[Any]",
        run: Run,
        arguments: Sequence[Any],
        transaction: Transaction,
        since: float,
        holder: Transaction,
    ) -> None:
        """Again when the holder has ended; a circle is found after a second."""
        transaction.waits_for = holder
        if self._loop.now - since >= DEADLOCK_SECONDS and _is_circle(transaction):
            transaction.waits_for = None
            transaction.failed = True
            if self._transaction is None:
                transaction.end(commit=False)
            self._answer(answer, None, asyncpg.DeadlockDetectedError("deadlock detected"))
            return
        done = [False]

        def again() -> None:
            if not done[0]:
                done[0] = True
                transaction.waits_for = None
                self._try(answer, run, arguments, transaction, since)

        holder.at_end.append(lambda: self._loop.of_world(0.0, again))
        self._loop.of_world(DEADLOCK_SECONDS, again)

    def _is_lost(self, answer: "asyncio.Future[Any]") -> bool:
        self._answered_at = None
        if self._lost or self._server.away:
            self._loop.of_world(self._server.travel(), _settle, answer, None, _closed())
            return True
        return False

    def lose(self) -> None:
        """The server ends this connection: what was open is rolled back."""
        self._lost = True
        self._server.open.discard(self)
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            transaction.end(commit=False)

    def _gone(self) -> None:
        """The other side died: the server finds out once it has done what is on its way."""
        self._loop.of_world(2 * self._server.travel(), self.lose)

    @property
    def is_lost(self) -> bool:
        return self._lost


def _closed() -> asyncpg.ConnectionDoesNotExistError:
    return asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")


def _is_circle(transaction: Transaction) -> bool:
    other, seen = transaction.waits_for, {transaction}
    while other is not None and other not in seen:
        seen.add(other)
        other = other.waits_for
    return other is transaction


def _settle(answer: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
    if not answer.done():
        if error is None:
            answer.set_result(result)
        else:
            answer.set_exception(error)


class Pool:
    """Connections of one process to one server, as asyncpg's pool gives them."""

    def __init__(self, server: Server, size: int = 4) -> None:
        self._server = server
        self._room = asyncio.Semaphore(size)
        self._idle: list[Connection] = []

    @asynccontextmanager
    async def acquire(self, *, timeout: float | None = None) -> AsyncIterator[Connection]:
        if self._room.locked():
            async with asyncio.timeout(timeout):
                await self._room.acquire()
        else:
            await self._room.acquire()
        try:
            connection = await self._connection()
            try:
                yield connection
            finally:
                if not connection.is_lost:
                    self._idle.append(connection)
        finally:
            self._room.release()

    async def _connection(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_lost:
                return connection
        await asyncio.sleep(self._server.travel())
        if self._server.away:
            raise ConnectionRefusedError("the server is not there")
        return Connection(self._server)


__all__ = ["Connection", "Pool", "Server"]
