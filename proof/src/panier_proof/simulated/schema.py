"""The tables of a service as its migrations make them: columns, keys, checks, generated columns, unique indexes.

Of a migration only what tables are is understood; functions, text search and extensions are passed over.
"""

import re
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any

import sqlglot
from panier_common.postgres import migrations
from sqlglot import exp

from panier_proof.simulated import values
from panier_proof.simulated.expressions import Scope, Source, UnknownSqlError, expression
from panier_proof.simulated.tables import Table, Unique

_PASSED_OVER = re.compile(
    r"^\s*(CREATE (OR REPLACE )?(EXTENSION|FUNCTION|TEXT SEARCH|TRIGGER)|ALTER TEXT SEARCH|UPDATE|DROP INDEX|INSERT)",
    re.I,
)
_ALTER = re.compile(r"^\s*ALTER TABLE (\w+)\s+(.*)$", re.I | re.S)
# What search is made of has no part in the simulation: nothing is ever found.
_WITHOUT = ("search",)


def tables_of(package: str, clock: Callable[[], datetime]) -> dict[str, Table]:
    """Empty tables of a service, by name."""
    return {name: definition.table(clock) for name, definition in _definitions(package).items()}


@cache
def _definitions(package: str) -> "dict[str, _Definition]":
    made: dict[str, _Definition] = {}
    for _, text in migrations(package):
        for statement in _statements(text):
            _take(made, statement)
    return made


def _statements(text: str) -> list[str]:
    plain = re.sub(r"--[^\n]*", "", text)
    plain = re.sub(r"\$(\w*)\$.*?\$\1\$", "''", plain, flags=re.S)
    plain = re.sub(r"BEGIN ATOMIC.*?END", "", plain, flags=re.S)
    return [one.strip() for one in plain.split(";") if one.strip()]


class _Definition:
    def __init__(self, name: str) -> None:
        self.name = name
        self.columns: list[str] = []
        self.key: tuple[str, ...] = ()
        self.not_null: set[str] = set()
        self.checks: list[Any] = []
        self.generated: dict[str, Any] = {}
        self.defaults: dict[str, str] = {}
        self.uniques: list[tuple[str, tuple[str, ...], Any]] = []

    def column(self, definition: Any) -> None:
        name = definition.name
        if name in _WITHOUT:
            return
        self.columns.append(name)
        for constraint in definition.constraints:
            self._constraint(name, constraint.kind, definition)

    def _constraint(self, name: str, kind: Any, definition: Any) -> None:
        match kind:
            case exp.NotNullColumnConstraint():
                if not kind.args.get("allow_null"):
                    self.not_null.add(name)
            case exp.PrimaryKeyColumnConstraint():
                self.key = (name,)
            case exp.DefaultColumnConstraint():
                self.defaults[name] = expression(kind.this, Scope([]))
                if definition.kind.sql().upper() in ("BYTEA", "VARBINARY") and isinstance(kind.this, exp.Literal):
                    self.defaults[name] = repr(str(kind.this.this).encode())
            case exp.CheckColumnConstraint():
                self.checks.append(kind.this)
            case exp.ComputedColumnConstraint():
                self.generated[name] = kind.this
            case exp.GeneratedAsIdentityColumnConstraint():
                if kind.expression is not None:
                    self.generated[name] = kind.expression
                else:
                    self.defaults[name] = f"next(T_{self.name}.identity)"
            case exp.CollateColumnConstraint():
                pass
            case _:
                raise UnknownSqlError(f"{self.name}.{name}: {kind!r}")

    def table(self, clock: Callable[[], datetime]) -> Table:
        self.not_null |= set(self.key)
        source = Source(self.name, "r", tuple(self.columns))
        scope = Scope([source])

        def compiled(node: Any) -> Callable[[Any], Any]:
            return eval(f"lambda r: {expression(node, scope)}", _space(clock))  # type: ignore[no-any-return]

        generate = None
        if self.generated:
            # Generated columns may build on one another's ingredients only, never on one another.
            made = {name: expression(node, scope) for name, node in self.generated.items()}
            row = "".join(made.get(name, f"r[{n}]") + ", " for n, name in enumerate(self.columns))
            generate = eval(f"lambda r: ({row})", _space(clock))
        place = self.columns.index
        return Table(
            self.name,
            tuple(self.columns),
            tuple(place(name) for name in self.key),
            tuple(sorted(place(name) for name in self.not_null)),
            [(node.sql("postgres"), compiled(node)) for node in self.checks],
            [Unique(n, tuple(place(c) for c in cols), compiled(w) if w else None) for n, cols, w in self.uniques],
            generate,
            {place(name): source for name, source in self.defaults.items()},
        )


def _space(clock: Callable[[], datetime]) -> dict[str, Any]:
    return {name: getattr(values, name) for name in dir(values) if not name.startswith("__")} | {"clock": clock}


def _take(made: dict[str, _Definition], statement: str) -> None:
    if _PASSED_OVER.match(statement):
        return
    if (altered := _ALTER.match(statement)) is not None:
        _alter(made[altered[1]], altered[2])
        return
    tree = sqlglot.parse_one(statement, read="postgres")
    if not isinstance(tree, exp.Create):
        raise UnknownSqlError(statement)
    if str(tree.args["kind"]).upper() == "INDEX":
        _index(made, tree)
        return
    definition = _Definition(tree.this.this.name)
    made[definition.name] = definition
    for part in tree.this.expressions:
        match part:
            case exp.ColumnDef():
                definition.column(part)
            case exp.PrimaryKey():
                definition.key = tuple(_name(one) for one in part.expressions)
            case exp.UniqueColumnConstraint():
                definition.uniques.append((statement[:40], tuple(_name(one) for one in part.this.expressions), None))
            case exp.CheckColumnConstraint():
                definition.checks.append(part.this)
            case _:
                raise UnknownSqlError(repr(part))


def _name(node: Any) -> str:
    return str(node.this.name if isinstance(node, exp.Ordered) else node.name)


def _index(made: dict[str, _Definition], tree: Any) -> None:
    if not tree.args.get("unique"):
        return  # how things are found faster changes nothing
    index = tree.this
    params = index.args["params"]
    columns = tuple(_name(one) for one in params.args["columns"])
    where = params.args.get("where")
    made[index.args["table"].name].uniques.append((index.name, columns, where.this if where is not None else None))


def _alter(definition: _Definition, actions: str) -> None:
    """Each of `ADD COLUMN …`, `DROP COLUMN …`, `ALTER COLUMN … SET …`."""
    for action in re.split(r",\s*(?=ADD |DROP |ALTER )", actions):
        if action.upper().startswith("ADD COLUMN"):
            created = sqlglot.parse_one(f"CREATE TABLE t ({action[len('ADD COLUMN') :]})", read="postgres")
            definition.column(created.this.expressions[0])
        elif action.upper().startswith("DROP COLUMN"):
            name = action.split()[2]
            definition.columns.remove(name)
            definition.not_null.discard(name)
        elif (set_not_null := re.match(r"ALTER COLUMN (\w+) SET NOT NULL", action, re.I)) is not None:
            definition.not_null.add(set_not_null[1])
        elif not re.match(r"ALTER COLUMN \w+ SET STORAGE", action, re.I):
            raise UnknownSqlError(action)
