"""From the product's own SQL to Python functions over simulated tables: what is run is what is proved.

A statement is parsed once and compiled to nested loops, the access to a table by what it is equal to. What is not
known here is refused aloud. Rows come in no order unless the statement asks for one.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from random import Random
from types import CodeType
from typing import Any

import asyncpg
import sqlglot
from sqlglot import exp

from panier_proof.simulated import values
from panier_proof.simulated.expressions import Scope, Source, UnknownSqlError, expression
from panier_proof.simulated.queries import Queries
from panier_proof.simulated.tables import Table, Transaction

_COMPILED: dict[tuple[str, ...], tuple[CodeType, type["Record"]]] = {}
Run = Callable[[Transaction, Sequence[Any]], tuple[str, list[Any]]]


class Record(tuple[Any, ...]):
    """A row of an answer, as asyncpg's: by place, by name, and `dict(record)`."""

    __slots__ = ()
    names: Mapping[str, int]

    def __getitem__(self, key: Any) -> Any:
        return tuple.__getitem__(self, self.names[key] if key.__class__ is str else key)

    def keys(self) -> Any:
        return self.names.keys()


class Compiler(Queries):
    """One statement's Python source."""

    def code(self, text: str) -> tuple[CodeType, type[Record]]:
        """What defines `run`, and the type of the records it answers with."""
        tree = sqlglot.parse_one(text, read="postgres")
        verb = type(tree).__name__.upper()
        result, columns = self._statement(tree)
        names = {name: place for place, name in reversed(list(enumerate(columns)))}
        names = {name: names[name] for name in columns}
        record = type("Record", (Record,), {"names": names, "__slots__": ()})
        self._emit(f"out = {result}")
        self._emit(f"return '{verb} %d' % {'count' if verb != 'SELECT' else 'len(out)'}, [record(row) for row in out]")
        return compile("def run(tx, a):\n    count = 0\n" + "\n".join(self._lines), text, "exec"), record

    def compile(self, text: str, clock: Callable[[], datetime], random: Random) -> Run:
        """Takes a transaction and arguments; gives the command's status and the answer's records."""
        # Histories come by the hundred, and the tables of these names are always the same.
        known = text, *self._tables
        if known not in _COMPILED:
            _COMPILED[known] = self.code(text)
        code, record = _COMPILED[known]
        space: dict[str, Any] = {name: getattr(values, name) for name in dir(values) if not name.startswith("_")}
        space |= {"T_" + name: table for name, table in self._tables.items()}
        space |= {"record": record, "clock": clock, "random": random}
        space |= {"CardinalityError": asyncpg.CardinalityViolationError, "Duplicate": asyncpg.UniqueViolationError}
        exec(code, space)
        run: Run = space["run"]
        return run

    def _statement(self, tree: Any, outer: Scope | None = None) -> tuple[str, tuple[str, ...]]:
        """Emit it; (Python source of its list of rows, their columns)."""
        if tree.args.get("with_"):
            for cte in tree.args["with_"].expressions:
                rows, columns = self._statement(cte.this, outer)
                columns = tuple(c.name for c in cte.args["alias"].columns) or columns
                name = self._name("with")
                self._emit(f"{name} = {rows}")
                self._with[cte.alias] = Source(cte.alias, name, columns)
        match tree:
            case exp.Select():
                return self._select(tree, outer)
            case exp.Union():
                return self._union(tree, outer)
            case exp.Insert():
                return self._insert(tree)
            case exp.Update():
                return self._update(tree)
            case exp.Delete():
                return self._delete(tree)
            case exp.Values():
                scope = Scope([], outer)
                rows = ", ".join(
                    f"({', '.join(expression(one, scope) for one in row.expressions)},)" for row in tree.expressions
                )
                return f"[{rows}]", tuple(f"column{n}" for n, _ in enumerate(tree.expressions[0].expressions, 1))
        raise UnknownSqlError(tree.sql("postgres")[:200])

    # Writing.

    def _insert(self, tree: exp.Insert) -> tuple[str, tuple[str, ...]]:
        schema = tree.this
        target = schema.this if isinstance(schema, exp.Schema) else schema
        table = self._tables[target.name]
        named = [one.name for one in schema.expressions] if isinstance(schema, exp.Schema) else list(table.columns)
        rows, _ = self._statement(tree.expression)
        given = {table.place(name): n for n, name in enumerate(named)}
        full = "".join(
            (f"row[{given[n]}]" if n in given else table.defaults.get(n, "None")) + ", "
            for n in range(len(table.columns))
        )
        conflict = tree.args.get("conflict")
        updates = conflict is not None and "UPDATE" in str(conflict.args["action"]).upper()
        mine = Source(target.alias or target.name, "mine", table.columns, table.name)
        new = Source("excluded", "new", table.columns)
        out, touched = self._name("rows"), self._name("touched")
        self._emit(f"count, {out}, {touched} = 0, [], set()")
        self._emit(f"for row in {rows}:")
        self._depth += 1
        self._emit(f"new = ({full})")
        self._emit(f"made = T_{table.name}.insert(tx, new, locks={updates or conflict is None})")
        self._emit("if made is None:")
        self._depth += 1
        if conflict is None:
            self._emit(f"raise Duplicate('duplicate key value violates the primary key of {table.name}')")
        elif not updates:
            self._emit("continue")
        else:
            self._conflict(conflict, table, mine, new, touched)
        self._depth -= 1
        self._emit(f"{touched}.add(made.key)")
        self._emit("count += 1")
        columns = self._returning(tree, Scope([mine]), out, "mine = made.now")
        self._depth -= 1
        return out, columns

    def _conflict(self, conflict: Any, table: Table, mine: Source, new: Source, touched: str) -> None:
        scope = Scope([mine, new])
        name = f"T_{table.name}"
        self._emit(f"new = {name}.completed(new)")
        self._emit(f"made = {name}.rows[({''.join(f'new[{place}], ' for place in table.key)})]")
        self._emit(f"if made.key in {touched}: raise CardinalityError('a row is changed a second time')")
        self._emit("mine = made.now")
        if conflict.args.get("where"):
            self._emit(f"if {expression(conflict.args['where'].this, scope)} is not True: continue")
        self._emit(f"{name}.update(tx, made, {self._changed(conflict.expressions, table, scope, mine)})")

    @staticmethod
    def _changed(assignments: Sequence[Any], table: Table, scope: Scope, mine: Source) -> str:
        new = {table.place(one.this.name): expression(one.expression, scope) for one in assignments}
        return "(" + "".join(new.get(n, f"{mine.variable}[{n}]") + ", " for n in range(len(table.columns))) + ")"

    def _update(self, tree: exp.Update) -> tuple[str, tuple[str, ...]]:
        return self._write(tree, tree.this)

    def _delete(self, tree: exp.Delete) -> tuple[str, tuple[str, ...]]:
        return self._write(tree, tree.this)

    def _write(self, tree: Any, target: Any) -> tuple[str, tuple[str, ...]]:
        """Find and lock the rows first, then change each once."""
        table = self._tables[target.name]
        hits, out, depth = self._name("hits"), self._name("rows"), self._depth
        self._emit(f"{hits} = {{}}")
        scope = self._from(tree, None, target=(target, True))
        mine = next(source for source in scope.sources if source.alias == target.alias_or_name)
        others = [source.variable for source in scope.sources if source is not mine]
        new = self._changed(tree.expressions, table, scope, mine) if isinstance(tree, exp.Update) else "None"
        self._emit(f"tx.lock(o_{mine.variable})")
        self._emit(f"{hits}.setdefault(o_{mine.variable}, ({new}, ({''.join(o + ', ' for o in others)})))")
        self._depth = depth
        self._emit(f"count, {out} = 0, []")
        self._emit(f"for o_{mine.variable}, (new, others) in {hits}.items():")
        self._depth += 1
        for n, other in enumerate(others):
            self._emit(f"{other} = others[{n}]")
        self._emit("count += 1")
        if isinstance(tree, exp.Delete):
            columns = self._returning(tree, scope, out, f"{mine.variable} = o_{mine.variable}.now")
            self._emit(f"tx.write(o_{mine.variable}, None)")
        else:
            self._emit(f"T_{table.name}.update(tx, o_{mine.variable}, new)")
            columns = self._returning(tree, scope, out, f"{mine.variable} = o_{mine.variable}.now")
        self._depth = depth
        return out, columns

    def _returning(self, tree: Any, scope: Scope, out: str, load: str) -> tuple[str, ...]:
        returning = tree.args.get("returning")
        if returning is None:
            return ()
        targets, columns = self._targets(returning, scope)
        self._emit(load)
        self._emit(f"{out}.append(({''.join(expression(one, scope) + ', ' for one, _ in targets)}))")
        return columns
