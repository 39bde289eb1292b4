"""Tables of the simulated PostgreSQL: rows with locks, READ COMMITTED, constraints. Knows no SQL text.

Of each row there are two versions at most: what is committed, and what the one transaction that has locked it made
of it. Whoever wants a locked row waits for that transaction to end.
"""

from bisect import bisect_left, bisect_right, insort_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from itertools import count
from operator import itemgetter
from typing import Any, TypeAlias

import asyncpg

Values: TypeAlias = tuple[Any, ...]
Key: TypeAlias = tuple[Any, ...]


_order = count(1)


class Blocked(Exception):  # noqa: N818 - no error: the statement waits and is done again
    """A row that the statement wants is locked by another transaction."""

    def __init__(self, holder: "Transaction") -> None:
        super().__init__()
        self.holder = holder


class Row:
    """`now` is the newest version, None when deleted; `was` the committed one while `holder` has it locked."""

    __slots__ = ("born", "holder", "key", "now", "past", "table", "was")

    def __init__(self, table: "Table", key: Key) -> None:
        self.table, self.key = table, key
        self.now: Values | None = None
        self.was: Values | None = None
        self.past: list[Values] = []  # what the holder made of it on the way
        self.holder: Transaction | None = None
        self.born = 0  # in the order of everything that is committed and begun

    def seen_by(self, transaction: "Transaction") -> Values | None:
        return self.now if self.holder is None or self.holder is transaction else self.was


class Transaction:
    """What one transaction holds and has changed. `at` is its now()."""

    def __init__(self, at: datetime) -> None:
        self.at = at
        self.held: dict[Row, None] = {}
        self.changes: list[tuple[Row, Values | None]] = []
        self.ended = self.failed = False
        self.waits_for: Transaction | None = None
        self.at_end: list[Callable[[], None]] = []
        self.snapshot = next(_order)

    def look(self) -> None:
        """A statement begins: it sees no row that comes to be while it waits for another one."""
        self.snapshot = next(_order)

    def lock(self, row: Row) -> Values | None:
        """The row's newest version, locked until the transaction ends. Raises Blocked."""
        if row.holder is not self:
            if row.holder is not None:
                raise Blocked(row.holder)
            row.holder, row.was = self, row.now
            self.held[row] = None
        return row.now

    def write(self, row: Row, values: Values | None) -> None:
        """Give a locked row its new version; None deletes it."""
        before = row.now
        self.changes.append((row, before))
        row.now = values
        if values is not None:
            row.past.append(values)
            row.table.index(row, values, before)

    def undo(self, to: int) -> None:
        """Take back all changes but the first so many."""
        while len(self.changes) > to:
            row, before = self.changes.pop()
            row.now = before

    def end(self, *, commit: bool) -> None:
        if not commit:
            self.undo(0)
        born = next(_order)
        for row in self.held:
            if row.was is None and row.now is not None:
                row.born = born
            if row.past or row.now is None:
                row.table.settle(row, row.now)
                row.past.clear()
            row.holder = row.was = None
        self.held.clear()
        self.ended = True
        for told in self.at_end:
            told()


@cache
def key_of(columns: tuple[int, ...]) -> Callable[[Values], Key]:
    """What takes these columns out of a row: by a slice where one will do, which gives a tuple of one as well."""
    first, beyond = columns[0], columns[0] + len(columns)
    return itemgetter(slice(first, beyond)) if columns == tuple(range(first, beyond)) else itemgetter(*columns)


@dataclass(frozen=True)
class Unique:
    """A unique key; `where` of a partial one tells which rows it counts."""

    name: str
    columns: tuple[int, ...]
    where: Callable[[Values], Any] | None = None


class Index:
    """Rows by what some columns say in any version of theirs."""

    __slots__ = ("key", "rows")

    def __init__(self, columns: tuple[int, ...]) -> None:
        self.key = key_of(columns)
        self.rows: dict[Key, dict[Row, None]] = {}


@dataclass
class Table:
    """`key` are the places of the primary key. `complete` makes a row of the values given, generated ones included."""

    name: str
    columns: tuple[str, ...]
    key: tuple[int, ...]
    not_null: tuple[int, ...] = ()
    checks: Sequence[tuple[str, Callable[[Values], Any]]] = ()
    uniques: Sequence[Unique] = ()
    generate: Callable[[Values], Values] | None = None
    defaults: Mapping[int, str] = field(default_factory=dict)  # Python source, as statements compute it
    identity: Iterator[int] = field(default_factory=lambda: count(1))
    rows: dict[Key, Row] = field(default_factory=dict)
    indexes: dict[tuple[int, ...], Index] = field(default_factory=dict)
    ordered: dict[int, list[tuple[Any, Row]]] = field(default_factory=dict)  # column → (value, row), one a version

    def place(self, column: str) -> int:
        return self.columns.index(column)

    def find(self, columns: tuple[int, ...], key: Key) -> Iterable[Row]:
        """Rows that have this key in some version of theirs; whoever asks looks at the version they see."""
        if columns == self.key:
            row = self.rows.get(key)
            return () if row is None else (row,)
        index = self.indexes.get(columns)
        if index is None:
            index = self.indexes[columns] = Index(columns)
            for row in self.rows.values():
                for values in (row.now, row.was):
                    if values is not None:
                        index.rows.setdefault(index.key(values), {})[row] = None
        return tuple(index.rows.get(key, ()))

    def find_below(self, place: int, value: Any) -> Iterable[Row]:
        """Rows of which some version has no more than this in the column."""
        if value is None:
            return ()
        ordered = self.ordered.get(place)
        if ordered is None:
            ordered = self.ordered[place] = []
            for row in self.rows.values():
                for values in {row.now, row.was} - {None}:
                    self._order(ordered, row, values[place])  # type: ignore[index]
        upto = bisect_right(ordered, value, key=itemgetter(0))
        return dict.fromkeys([row for _, row in ordered[:upto]])

    def _order(self, ordered: list[tuple[Any, Row]], row: Row, value: Any) -> None:
        if value is not None:
            insort_right(ordered, (value, row), key=itemgetter(0))

    def index(self, row: Row, values: Values, before: Values | None) -> None:
        """Note a row's new version; the one before it is noted."""
        for index in self.indexes.values():
            key = index.key(values)
            if before is None or index.key(before) != key:
                index.rows.setdefault(key, {})[row] = None
        for place, ordered in self.ordered.items():
            self._order(ordered, row, values[place])

    def settle(self, row: Row, final: Values | None) -> None:
        """Forget the versions of a row that nobody will see again."""
        gone = [version for version in (row.was, *row.past) if version is not None and version is not final]
        if gone:
            for index in self.indexes.values():
                kept = None if final is None else index.key(final)
                for version in gone:
                    if (key := index.key(version)) != kept and (rows := index.rows.get(key)) is not None:
                        rows.pop(row, None)
                        if not rows:
                            del index.rows[key]
            for place, ordered in self.ordered.items():
                for version in gone:
                    _take_out(ordered, row, version[place])
        if final is None:
            self.rows.pop(row.key, None)

    def insert(self, transaction: Transaction, values: Values, *, locks: bool = True) -> Row | None:
        """The new row; None when a row with that primary key is there, which is then locked if so asked.

        Raises Blocked, also while nobody can know whether there is one.
        """
        values = self.completed(values)
        key = key_of(self.key)(values)
        row = self.rows.get(key)
        if row is None:
            row = self.rows[key] = Row(self, key)
        elif not locks and row.seen_by(transaction) is not None:
            return None
        if transaction.lock(row) is not None:
            return None
        self._check(transaction, row, values)
        transaction.write(row, values)
        return row

    def update(self, transaction: Transaction, row: Row, values: Values) -> None:
        values = self.completed(values)
        self._check(transaction, row, values)
        transaction.write(row, values)

    def completed(self, values: Values) -> Values:
        """With the generated columns, and nothing missing that must be there."""
        if self.generate is not None:
            values = self.generate(values)
        for place in self.not_null:
            if values[place] is None:
                raise asyncpg.NotNullViolationError(f"null value in column {self.columns[place]} of {self.name}")
        return values

    def _check(self, transaction: Transaction, row: Row, values: Values) -> None:
        for name, holds in self.checks:
            if holds(values) is False:
                raise asyncpg.CheckViolationError(f"new row of {self.name} violates {name}")
        for unique in self.uniques:
            if unique.where is not None and unique.where(values) is not True:
                continue
            for other in self.find(unique.columns, key_of(unique.columns)(values)):
                if other is not row:
                    self._compare(transaction, other, values, unique)

    def _compare(self, transaction: Transaction, other: Row, values: Values, unique: Unique) -> None:
        """Raises UniqueViolationError for the same key; Blocked while nobody can know."""
        key = key_of(unique.columns)
        wanted = key(values)
        same = [
            version
            for version in (other.now, other.was)
            if version is not None
            and key(version) == wanted
            and (unique.where is None or unique.where(version) is True)
        ]
        if same and other.holder is not None and other.holder is not transaction:
            raise Blocked(other.holder)
        if other.now is not None and other.now in same:
            raise asyncpg.UniqueViolationError(f"duplicate key value violates unique constraint {unique.name}")


def _take_out(ordered: list[tuple[Any, Row]], row: Row, value: Any) -> None:
    """One version of a row less."""
    if value is not None:
        for at in range(bisect_left(ordered, value, key=itemgetter(0)), len(ordered)):
            if ordered[at][1] is row:
                del ordered[at]
                return
