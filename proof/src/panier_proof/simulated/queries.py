"""Queries of the simulated PostgreSQL: what SELECT makes of the rows that `sources.py` finds.

Rows come in no order unless the statement asks for one. Writing is `sql.py`'s.
"""

from collections.abc import Sequence
from typing import Any

from sqlglot import exp

from panier_proof.simulated.expressions import Scope, UnknownSqlError, expression
from panier_proof.simulated.sources import Sources


class Queries(Sources):
    """The part of a statement's Python source that reads."""

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
        for one in (one for one, _ in targets if isinstance(one, exp.Exists)):
            scope.replaced[one.sql("postgres")] = f"({self._statement(one.this, scope)[0]} != [])"
        selected = [expression(one, scope) for one, _ in targets]
        orders = self._orders(tree, scope, columns, selected)
        locked = self._locked(scope, locks)
        row = f"({''.join(one + ', ' for one in selected)})"
        # `unnest` alone keeps its order
        is_shuffled = any(source.alias in self._with or source.table is not None for source in scope.sources)
        keys = "".join(f"sorting({key}), " for key, _ in orders)
        # What nobody sorts or locks needs nothing beside it.
        match, its_row = (f"(({keys}), {row}, ({locked}))", "match[1]") if keys or locked else (row, "match")
        self._emit(f"{out}.append({match})")
        self._depth = depth
        if tree.args.get("distinct"):
            self._emit(f"{out} = list({{{its_row}: match for match in {out}}}.values())")
        if is_shuffled:
            self._emit(f"if len({out}) > 1: shuffle({out}, random)")
        self._sort(out, [descending for _, descending in orders])
        self._cut(tree, out, Scope([], scope.outer))
        if locked:
            self._emit(f"for match in {out}:")
            self._emit("    for row in match[2]: tx.lock(row)")
        if keys or locked:
            self._emit(f"{out} = [match[1] for match in {out}]")

    def _cut(self, tree: exp.Select, out: str, scope: Scope) -> None:
        if tree.args.get("offset"):
            self._emit(f"{out} = {out}[{expression(tree.args['offset'].expression, scope)}:]")
        if tree.args.get("limit"):
            self._emit(f"{out} = {out}[:{expression(tree.args['limit'].expression, scope)}]")

    def _sort(self, out: str, descending: Sequence[bool]) -> None:
        """Rows that are alike keep the order that chance gave them."""
        if not any(descending):
            if descending:
                self._emit(f"{out}.sort(key=first)")
            return
        for place, turned in reversed(list(enumerate(descending))):
            self._emit(f"{out}.sort(key=lambda match: match[0][{place}], reverse={turned})")

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
        self._emit(f"shuffle({out}, random)")
        self._sort(out, [bool(one.args.get("desc")) for one in orders])
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
