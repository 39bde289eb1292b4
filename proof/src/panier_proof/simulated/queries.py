"""Queries of the simulated PostgreSQL: SELECT as nested loops, the access to a table by what it is equal to.

Rows come in no order unless the statement asks for one. Writing is `sql.py`'s.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from sqlglot import exp

from panier_proof.simulated.expressions import Scope, Source, UnknownSqlError, expression
from panier_proof.simulated.tables import Table


class Queries(ABC):
    """The part of a statement's Python source that reads."""

    def __init__(self, tables: Mapping[str, Table]) -> None:
        self._tables = tables
        self._lines: list[str] = []
        self._depth = 1
        self._count = 0
        self._with: dict[str, Source] = {}
        self._items: dict[str, Any] = {}

    @abstractmethod
    def _statement(self, tree: Any, outer: Scope | None = None) -> tuple[str, tuple[str, ...]]:
        """Emit it; (Python source of its list of rows, their columns)."""

    # Emitting.

    def _emit(self, line: str) -> None:
        self._lines.append("    " * self._depth + line)

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}{self._count}"

    def _union(self, tree: exp.Union, outer: Scope | None) -> tuple[str, tuple[str, ...]]:
        left, columns = self._statement(tree.left, outer)
        right, _ = self._statement(tree.right, outer)
        both = f"[*{left}, *{right}]"
        return (f"list(dict.fromkeys({both}))" if tree.args.get("distinct") else both), columns

    # Reading.

    def _select(self, tree: exp.Select, outer: Scope | None) -> tuple[str, tuple[str, ...]]:
        function = self._name("select")
        self._emit(f"def {function}():")
        self._depth += 1
        out = self._name("rows")
        self._emit(f"{out} = []")
        depth = self._depth
        locks = tree.args.get("locks") or []
        scope = self._from(tree, outer, locks)
        targets, columns = self._targets(tree, scope)
        if tree.args.get("group") or any(list(one.find_all(exp.AggFunc)) for one, _ in targets):
            self._aggregate(tree, scope, targets, out, depth)
        else:
            self._plain(tree, scope, targets, columns, out, depth, locks)
        self._emit(f"return {out}")
        self._depth -= 1
        return f"{function}()", columns

    def _targets(self, tree: Any, scope: Scope) -> tuple[list[tuple[Any, str]], tuple[str, ...]]:
        """(expression, name) of what is selected, stars written out."""
        found: list[tuple[Any, str]] = []
        for one in tree.expressions:
            star = isinstance(one, exp.Star) or (isinstance(one, exp.Column) and isinstance(one.this, exp.Star))
            if star:
                for source in scope.sources:
                    if isinstance(one, exp.Star) or one.table == source.alias:
                        found += [(exp.column(name, source.alias, quoted=True), name) for name in source.columns]
            else:
                found.append((one.this if isinstance(one, exp.Alias) else one, one.alias_or_name or "?column?"))
        names: list[str] = []
        for _, name in found:
            names.append(name if name not in names else f"{name}_{len(names)}")
        return found, tuple(names)

    def _plain(
        self,
        tree: exp.Select,
        scope: Scope,
        targets: list[tuple[Any, str]],
        columns: tuple[str, ...],
        out: str,
        depth: int,
        locks: Sequence[Any],
    ) -> None:
        exploded = [one for one, _ in targets if isinstance(one, exp.Explode)]
        if exploded:
            arrays = ", ".join(expression(one.this, scope) for one in exploded)
            self._emit(f"for burst in explode({arrays}):")
            self._depth += 1
            scope.replaced = {one.sql("postgres"): f"burst[{n}]" for n, one in enumerate(exploded)}
        selected = [expression(one, scope) for one, _ in targets]
        orders = self._orders(tree, scope, columns, selected)
        locked = self._locked(scope, locks)
        row = f"({''.join(one + ', ' for one in selected)})"
        keys = "".join(f"sorting({key}), " for key, _ in orders)
        self._emit(f"{out}.append((({keys}), {row}, ({locked})))")
        self._depth = depth
        if tree.args.get("distinct"):
            self._emit(f"{out} = list({{match[1]: match for match in {out}}}.values())")
        if any(source.alias in self._with or source.table is not None for source in scope.sources):
            self._emit(f"if len({out}) > 1: random.shuffle({out})")  # `unnest` alone keeps its order
        for place, (_, descending) in reversed(list(enumerate(orders))):
            self._emit(f"{out}.sort(key=lambda match: match[0][{place}], reverse={descending})")
        plain = Scope([], scope.outer)
        if tree.args.get("offset"):
            self._emit(f"{out} = {out}[{expression(tree.args['offset'].expression, plain)}:]")
        if tree.args.get("limit"):
            self._emit(f"{out} = {out}[:{expression(tree.args['limit'].expression, plain)}]")
        if locked:
            self._emit(f"for match in {out}:")
            self._emit("    for row in match[2]: tx.lock(row)")
        self._emit(f"{out} = [match[1] for match in {out}]")

    def _locked(self, scope: Scope, locks: Sequence[Any]) -> str:
        if not locks:
            return ""
        of = {table.alias_or_name for lock in locks for table in lock.expressions}
        rows = [s for s in scope.sources if s.table is not None and (not of or s.alias in of)]
        return "".join(f"o_{source.variable}, " for source in rows)

    def _orders(self, tree: Any, scope: Scope, columns: tuple[str, ...], selected: list[str]) -> list[tuple[str, bool]]:
        found = []
        for one in tree.args["order"].expressions if tree.args.get("order") else ():
            node = one.this
            if isinstance(node, exp.Literal) and not node.is_string:
                source = selected[int(node.this) - 1]
            else:
                try:
                    source = expression(node, scope)
                except UnknownSqlError:
                    source = selected[columns.index(node.name)]
            found.append((source, bool(one.args.get("desc"))))
        return found

    def _aggregate(self, tree: exp.Select, scope: Scope, targets: list[tuple[Any, str]], out: str, depth: int) -> None:
        groups = tree.args["group"].expressions if tree.args.get("group") else []
        orders = list(tree.args["order"].expressions) if tree.args.get("order") else []
        folds = {
            one.sql("postgres"): one
            for node in [*(one for one, _ in targets), *(one.this for one in orders)]
            for one in node.find_all(exp.AggFunc)
        }
        keys = "".join(expression(one, scope) + ", " for one in groups)
        taken = "".join(self._folded(one, scope) + ", " for one in folds.values())
        found = self._name("groups")
        self._lines.insert(self._line_of(out), "    " * depth + f"{found} = {{}}")
        self._emit(f"{found}.setdefault(({keys}), []).append(({taken}))")
        self._depth = depth
        if not groups:
            self._emit(f"{found}.setdefault((), [])")
        replaced = {one.sql("postgres"): f"key[{n}]" for n, one in enumerate(groups)}
        for n, (text, one) in enumerate(folds.items()):
            replaced[text] = self._fold(one, n, scope)
        after = Scope([], None, replaced)
        row = "".join(expression(one, after) + ", " for one, _ in targets)
        self._emit(f"for key, many in {found}.items(): {out}.append((({self._keys(orders, after)}), ({row})))")
        self._emit(f"random.shuffle({out})")
        for place, one in reversed(list(enumerate(orders))):
            self._emit(f"{out}.sort(key=lambda match: match[0][{place}], reverse={bool(one.args.get('desc'))})")
        self._emit(f"{out} = [match[1] for match in {out}]")

    @staticmethod
    def _keys(orders: Sequence[Any], scope: Scope) -> str:
        return "".join(f"sorting({expression(one.this, scope)}), " for one in orders)

    def _line_of(self, out: str) -> int:
        return next(n for n, line in enumerate(self._lines) if line.strip() == f"{out} = []") + 1

    @staticmethod
    def _folded(one: Any, scope: Scope) -> str:
        """What the aggregate needs of each row."""
        if isinstance(one, exp.Count):
            return "1"
        if isinstance(one, exp.GroupConcat):
            ordered = one.this if isinstance(one.this, exp.Order) else one.args.get("separator")
            if isinstance(ordered, exp.Order):
                key = expression(ordered.expressions[0].this, scope)
                value = one.this.this if ordered is one.this else one.this
                return f"({key}, {expression(value, scope)})"
            return f"(0, {expression(one.this, scope)})"
        return expression(one.this, scope)

    @staticmethod
    def _fold(one: Any, n: int, scope: Scope) -> str:
        if isinstance(one, exp.GroupConcat):
            between = one.args.get("separator")
            between = between.this if isinstance(between, exp.Order) else between
            return f"joined([row[{n}] for row in many], {expression(between, Scope([]))})"
        return f"AGGREGATES[{type(one).__name__!r}]([row[{n}] for row in many])"

    # FROM and WHERE.

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
            try:
                test = self._condition(condition, scope)
            except UnknownSqlError:
                if complete:
                    raise
                left.append(condition)
                continue
            self._emit(f"if {test} is not True: continue" if scope.sources else f"if {test} is not True: return []")
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
        if known:
            places = table.key if set(table.key) <= known.keys() else tuple(sorted(known))
            key = "".join(self._each(*known[place]) + ", " for place in places)
            self._emit(f"for o_{item} in T_{source.table}.find({places}, ({key})):")
        else:
            self._emit(f"for o_{item} in list(T_{source.table}.rows.values()):")
        self._depth += 1
        self._emit(f"{item} = o_{item}.now if o_{item}.holder is None or o_{item}.holder is tx else o_{item}.was")
        self._emit(f"if {item} is None: continue")
        if skip:
            self._emit(f"if o_{item}.holder is not None and o_{item}.holder is not tx: continue")

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
        if not isinstance(condition, exp.EQ):
            return None
        for mine, other in ((condition.this, condition.expression), (condition.expression, condition.this)):
            if not isinstance(mine, exp.Column) or mine.name not in table.columns:
                continue
            if mine.table != source.alias and (mine.table or any(mine.name in s.columns for s in before.sources)):
                continue
            try:
                return table.place(mine.name), expression(other, before), isinstance(other, exp.Any)
            except UnknownSqlError:
                continue
        return None


def conjuncts(node: Any) -> list[Any]:
    if isinstance(node, exp.Paren) and isinstance(node.this, exp.And):
        node = node.this
    if isinstance(node, exp.And):
        return [*conjuncts(node.left), *conjuncts(node.right)]
    return [node]


def alias_of(item: Any) -> str:
    return str(item.alias or item.alias_or_name or "unnest")
