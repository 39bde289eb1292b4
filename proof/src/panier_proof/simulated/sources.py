"""Where rows come from in a compiled statement: FROM as nested loops, the access to a table by what it is equal to or
below, WHERE as soon as it can be told. What is selected is `queries.py`'s.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from sqlglot import exp

from panier_proof.simulated.expressions import Scope, Source, UnknownSqlError, expression
from panier_proof.simulated.tables import Table


class Sources(ABC):
    """The part of a statement's Python source that finds rows."""

    def __init__(self, tables: Mapping[str, Table]) -> None:
        self._tables = tables
        self._lines: list[str] = []
        self._depth = 1
        self._count = 0
        self._with: dict[str, Source] = {}
        self._items: dict[str, Any] = {}
        self._met: set[int] = set()  # conditions that hold by the way in which rows are found

    @abstractmethod
    def _statement(self, tree: Any, outer: Scope | None = None) -> tuple[str, tuple[str, ...]]:
        """Emit it; (Python source of its list of rows, their columns)."""

    # Emitting.

    def _emit(self, line: str) -> None:
        self._lines.append("    " * self._depth + line)

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}{self._count}"

    def _from(
        self, tree: Any, outer: Scope | None, locks: Sequence[Any] = (), target: tuple[Any, bool] | None = None
    ) -> Scope:
        """Emit the loops; the scope inside of them. `target` is the table of an UPDATE or a DELETE."""
        listed: list[tuple[Any, str, Any]] = []  # (item, kind of join, ON)
        conditions: list[Any] = []
        usings: list[tuple[int, str]] = []
        first = tree.args.get("from_")
        items = [(target[0], None)] if target is not None else []
        items += [(first.this, None)] if isinstance(first, exp.From) else []
        items += [(one, None) for one in tree.args.get("using") or ()] if isinstance(tree, exp.Delete) else []
        chain = [join for item, _ in items for join in item.args.get("joins") or ()]
        items += [(join.this, join) for join in [*chain, *(tree.args.get("joins") or ())]]
        for n, (item, join) in enumerate(items):
            side = join.args.get("side", "") if join is not None else ""
            on = join.args.get("on") if join is not None else None
            usings += [(n, one.name) for one in (join.args.get("using") or ())] if join is not None else []
            if on is not None and side != "LEFT":
                conditions += conjuncts(on)
            listed.append((item, side, on))
        if tree.args.get("where"):
            conditions += conjuncts(tree.args["where"].this)
        skip = any(lock.args.get("wait") is False for lock in locks)
        return self._loops(listed, conditions, usings, outer, skip=skip)

    def _loops(
        self,
        listed: list[tuple[Any, str, Any]],
        conditions: list[Any],
        usings: list[tuple[int, str]],
        outer: Scope | None,
        *,
        skip: bool,
    ) -> Scope:
        order = list(range(len(listed)))
        if not any(side == "LEFT" or isinstance(item, exp.Lateral) for item, side, _ in listed):
            order.sort(key=lambda n: isinstance(listed[n][0], exp.Table) and listed[n][0].name not in self._with)
        scope = Scope([], outer)
        nested = exp.Lateral | exp.Subquery
        every = {n: self._source(listed[n][0]) for n in order if not isinstance(listed[n][0], nested)}
        pending = list(conditions)
        shared: dict[int, list[str]] = {}
        for n, name in usings:
            shared.setdefault(n, []).append(name)
        for n in order:
            item, side, on = listed[n]
            before = Scope(list(scope.sources), outer)
            if isinstance(item, exp.Lateral | exp.Subquery):
                self._nested(item, scope, before)
            else:
                names = [name for _, name in usings]
                extra = [
                    exp.EQ(this=exp.column(name, every[n].alias), expression=exp.column(name, other.alias))
                    for name in names
                    for other in before.sources
                    if name in every[n].columns and name in other.columns
                ]
                told = conjuncts(on) if side == "LEFT" else pending
                self._loop(every[n], side, [*told, *extra], before, skip)
                scope.sources.append(every[n])
                if side != "LEFT":
                    pending = [*pending, *extra]
            pending = self._filter(pending, scope, complete=len(scope.sources) == len(listed))
        scope.sources = [s for n in range(len(listed)) for s in scope.sources if s.alias == alias_of(listed[n][0])]
        if not listed:
            self._filter(pending, scope, complete=True)
        return scope

    def _filter(self, pending: list[Any], scope: Scope, *, complete: bool) -> list[Any]:
        """Emit the conditions that can be told by now; the others."""
        left = []
        for condition in pending:
            if id(condition) in self._met:
                continue
            try:
                test = self._condition(condition, scope)
            except UnknownSqlError:
                if complete:
                    raise
                left.append(condition)
                continue
            self._emit(f"if {_unmet(condition, test, scope)}: " + ("continue" if scope.sources else "return []"))
        return left

    def _condition(self, condition: Any, scope: Scope) -> str:
        negated = isinstance(condition, exp.Not) and isinstance(condition.this, exp.In)
        node = condition.this if negated else condition
        if isinstance(node, exp.In) and node.args.get("query") is not None:
            left = expression(node.this, scope)
            query, columns = self._statement(node.args["query"].this, scope)
            rows = query if len(columns) > 1 else f"[row[0] for row in {query}]"
            return f"{'no' if negated else ''}(among({left}, {rows}))"
        return expression(condition, scope)

    def _source(self, item: Any) -> Source:
        alias, variable = alias_of(item), self._name("r")
        self._items[variable] = item
        if isinstance(item, exp.Unnest):
            given = item.args.get("alias")
            columns = [column.name for column in given.columns] if given is not None else []
            if not columns:
                many = len(item.expressions)
                columns = [alias] if given is not None and many == 1 else [f"unnest_{n}" for n in range(many)]
            if item.args.get("offset"):
                offset = item.args["offset"]
                columns.append(offset.name if isinstance(offset, exp.Identifier) else "ordinality")
            return Source(alias, variable, tuple(columns))
        if item.name in self._with:
            return Source(alias, variable, self._with[item.name].columns)
        return Source(alias, variable, self._tables[item.name].columns, item.name)

    def _nested(self, item: Any, scope: Scope, before: Scope) -> None:
        query = item.this.this if isinstance(item.this, exp.Subquery) else item.this
        rows, columns = self._statement(query, before)
        source = Source(alias_of(item), self._name("r"), columns)
        self._emit(f"for {source.variable} in {rows}:")
        self._depth += 1
        scope.sources.append(source)

    def _loop(self, source: Source, side: str, conditions: list[Any], before: Scope, skip: bool) -> None:
        if side == "LEFT":
            matches, depth = self._name("matches"), self._depth
            self._emit(f"{matches} = []")
            self._scan(source, conditions, before, skip)
            within = Scope([*before.sources, source], before.outer)
            self._filter(conditions, within, complete=True)
            self._emit(f"{matches}.append({source.variable})")
            self._depth = depth
            self._emit(f"for {source.variable} in {matches} or [{(None,) * len(source.columns)}]:")
            self._depth += 1
        else:
            self._scan(source, conditions, before, skip)

    def _scan(self, source: Source, conditions: list[Any], before: Scope, skip: bool) -> None:
        item = source.variable
        if source.table is None:
            self._emit(f"for {item} in {self._rows_of(source, before)}:")
            self._depth += 1
            return
        table = self._tables[source.table]
        known: dict[int, tuple[str, bool]] = {}
        for condition in conditions:
            found = self._equal(condition, source, table, before)
            if found is not None:
                known.setdefault(found[0], found[1:])
        again = "" if set(table.key) <= known.keys() else self._one_of(conditions, source, table, before, known)
        below = None if set(table.key) <= known.keys() else self._below(conditions, source, table, before)
        if below is not None:
            self._emit(f"for o_{item} in T_{source.table}.find_below({below[0]}, {below[1]}):")
        elif known:
            places = table.key if set(table.key) <= known.keys() else tuple(sorted(known))
            key = "".join(self._each(*known[place]) + ", " for place in places)
            self._emit(f"for o_{item} in T_{source.table}.find({places}, ({key})):")
        else:
            self._emit(f"for o_{item} in list(T_{source.table}.rows.values()):")
        self._depth += 1
        self._emit(f"{item} = o_{item}.now if o_{item}.holder is None or o_{item}.holder is tx else o_{item}.was")
        self._emit(f"if {item} is None or o_{item}.born > tx.snapshot: continue")
        if again:
            self._emit(f"if {again}: continue")
        if skip:
            self._emit(f"if o_{item}.holder is not None and o_{item}.holder is not tx: continue")

    def _one_of(
        self,
        conditions: list[Any],
        source: Source,
        table: Table,
        before: Scope,
        known: dict[int, tuple[str, bool]],
    ) -> str:
        """Where columns are IN (SELECT …): run it once, begin to go through what it gives; how to tell another row."""
        for one in conditions:
            if not isinstance(one, exp.In) or one.args.get("query") is None:
                continue
            columns = one.this.expressions if isinstance(one.this, exp.Tuple) else [one.this]
            if not all(_is_column(column, source, before) for column in columns):
                continue
            query, _ = self._statement(one.args["query"].this, before)
            item, places = self._name("any"), [table.place(column.name) for column in columns]
            self._emit(f"for {item} in dict.fromkeys({query}):")
            self._depth += 1
            for n, place in enumerate(places):
                known[place] = (f"{item}[{n}]", False)
            self._met.add(id(one))
            return f"({''.join(f'{source.variable}[{place}], ' for place in places)}) != {item}"
        return ""

    def _each(self, value: str, several: bool) -> str:
        if not several:
            return value
        one = self._name("any")
        self._emit(f"for {one} in dict.fromkeys({value} or ()):")
        self._depth += 1
        return one

    def _rows_of(self, source: Source, before: Scope) -> str:
        item = self._items[source.variable]
        if isinstance(item, exp.Unnest):
            arrays = ", ".join(expression(one, before) for one in item.expressions)
            if item.args.get("offset"):
                return f"[(*row, n) for n, row in enumerate(explode({arrays}), 1)]"
            return f"explode({arrays})"
        return self._with[item.name].variable

    @staticmethod
    def _equal(condition: Any, source: Source, table: Table, before: Scope) -> tuple[int, str, bool] | None:
        """(column, value, whether it is any of several), where the condition says that of what is known by now."""
        if isinstance(condition, exp.In) and condition.expressions and _is_column(condition.this, source, before):
            try:
                values = "".join(expression(one, before) + ", " for one in condition.expressions)
            except UnknownSqlError:
                return None
            return table.place(condition.this.name), f"({values})", True
        if not isinstance(condition, exp.EQ):
            return None
        for mine, other in ((condition.this, condition.expression), (condition.expression, condition.this)):
            if (value := _known(mine, other, source, before)) is not None:
                return table.place(mine.name), value, isinstance(other, exp.Any)
        return None

    @staticmethod
    def _below(conditions: list[Any], source: Source, table: Table, before: Scope) -> tuple[int, str] | None:
        """(column, value) of a condition that a column is below something known by now."""
        for one in conditions:
            if isinstance(one, exp.LT | exp.LTE) and (value := _known(one.this, one.expression, source, before)):
                return table.place(one.this.name), value
        return None


def _known(mine: Any, other: Any, source: Source, before: Scope) -> str | None:
    """The other side of a comparison with a column of this source, if it is known before the source is read."""
    if not _is_column(mine, source, before):
        return None
    try:
        return expression(other, before)
    except UnknownSqlError:
        return None


def _is_column(node: Any, source: Source, before: Scope) -> bool:
    if not isinstance(node, exp.Column) or node.name not in source.columns:
        return False
    return node.table == source.alias or not (node.table or any(node.name in s.columns for s in before.sources))


def _unmet(condition: Any, test: str, scope: Scope) -> str:
    """That the condition does not hold; what most conditions are without a call."""
    if isinstance(condition, exp.EQ) and not isinstance(condition.expression, exp.Any):
        left, right = expression(condition.this, scope), expression(condition.expression, scope)
        known = isinstance(condition.expression, exp.Literal)
        return f"{left} != {right}" if known else f"not ({left} == {right} is not None)"
    return f"{test} is not True"


def conjuncts(node: Any) -> list[Any]:
    if isinstance(node, exp.Paren) and isinstance(node.this, exp.And):
        node = node.this
    if isinstance(node, exp.And):
        return [*conjuncts(node.left), *conjuncts(node.right)]
    return [node]


def alias_of(item: Any) -> str:
    return str(item.alias or item.alias_or_name or "unnest")
