"""From SQL expressions to Python source. Knows the scopes of names; loops and writes are `sql.py`'s."""

from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

_BINARY = {
    exp.EQ: "eq",
    exp.NEQ: "ne",
    exp.LT: "lt",
    exp.LTE: "le",
    exp.GT: "gt",
    exp.GTE: "ge",
    exp.And: "both",
    exp.Or: "either",
    exp.Add: "add",
    exp.Sub: "sub",
    exp.Mul: "mul",
    exp.DPipe: "add",
}
_FUNCTIONS = {exp.Greatest: "greatest", exp.Least: "least", exp.Coalesce: "coalesce", exp.Lower: "lower"}
_NAMED = {"folded": "folded", "greatest": "greatest", "least": "least"}


class UnknownSqlError(NotImplementedError):
    """The simulated PostgreSQL does not know this: better said than guessed."""


@dataclass(frozen=True)
class Source:
    """One thing in FROM: the Python variable that holds its row, a tuple with these columns."""

    alias: str
    variable: str
    columns: tuple[str, ...]
    table: str | None = None


@dataclass
class Scope:
    """What names mean here; `outer` for LATERAL. `replaced` are expressions that have a place already (GROUP BY)."""

    sources: list[Source]
    outer: "Scope | None" = None
    replaced: dict[str, str] = field(default_factory=dict)

    def find(self, name: str, alias: str) -> str:
        for source in self.sources:
            if (not alias or alias == source.alias) and name in source.columns:
                return f"{source.variable}[{source.columns.index(name)}]"
        if self.outer is not None:
            return self.outer.find(name, alias)
        raise UnknownSqlError(f"no column {alias}.{name}")

    def variables(self) -> dict[str, Source]:
        return {source.alias: source for source in self.sources}


def expression(node: Any, scope: Scope) -> str:
    """Python source of the value."""
    if scope.replaced and (known := scope.replaced.get(node.sql("postgres"))) is not None:
        return known
    if (name := _BINARY.get(type(node))) is not None:
        if isinstance(node.expression, exp.Any):
            return f"among({expression(node.this, scope)}, {expression(node.expression.this, scope)})"
        return f"{name}({expression(node.this, scope)}, {expression(node.expression, scope)})"
    if (name := _FUNCTIONS.get(type(node))) is not None:
        return f"{name}({', '.join(expression(one, scope) for one in [node.this, *node.expressions])})"
    made = _MAKERS.get(type(node))
    if made is None:
        raise UnknownSqlError(f"{type(node).__name__}: {node.sql('postgres')}")
    return str(made(node, scope))


def _literal(node: exp.Literal, scope: Scope) -> str:
    return repr(node.this) if node.is_string else str(node.this)


def _cast(node: exp.Cast, scope: Scope) -> str:
    kind = node.to.sql("postgres").lower()
    inner = expression(node.this, scope)
    if kind in ("int", "bigint", "smallint", "integer"):
        return f"number({inner})"
    if kind in ("double precision", "real", "float8"):
        return f"real({inner})"
    if kind == "uuid[]":
        return f"uuids({inner})"
    if kind == "uuid":
        return f"uuid({inner})"
    if kind == "bytea" and isinstance(node.this, exp.Literal):
        return repr(str(node.this.this).encode())
    return inner


def _in(node: exp.In, scope: Scope) -> str:
    if node.args.get("query") is not None:
        raise UnknownSqlError(f"IN (SELECT) in the middle of an expression: {node.sql('postgres')}")
    values = ", ".join(expression(one, scope) for one in node.expressions)
    return f"among({expression(node.this, scope)}, ({values},))"


def _is(node: exp.Is, scope: Scope) -> str:
    inner = expression(node.this, scope)
    other = "None" if isinstance(node.expression, exp.Null) else expression(node.expression, scope)
    return f"({inner} {'is not' if node.args.get('negate') else 'is'} {other})"


def _case(node: exp.Case, scope: Scope) -> str:
    found = expression(node.args["default"], scope) if node.args.get("default") else "None"
    for branch in reversed(node.args["ifs"]):
        found = f"({expression(branch.args['true'], scope)} if {expression(branch.this, scope)} is True else {found})"
    return found


def _tuple(node: exp.Tuple, scope: Scope) -> str:
    return f"({', '.join(expression(one, scope) for one in node.expressions)},)"


def _anonymous(node: exp.Anonymous, scope: Scope) -> str:
    name = str(node.this).lower()
    if name in ("clock_timestamp", "statement_timestamp"):
        return "clock()"
    if name in _NAMED:
        return f"{_NAMED[name]}({', '.join(expression(one, scope) for one in node.expressions)})"
    raise UnknownSqlError(f"function {name}")


_SECONDS = {"secs": 1, "mins": 60, "hours": 3600, "days": 86400}


def _interval(node: exp.MakeInterval, scope: Scope) -> str:
    parts = [one for one in node.args.values() if isinstance(one, exp.Kwarg)]
    if len(parts) != 1 or parts[0].this.name not in _SECONDS:
        raise UnknownSqlError(node.sql("postgres"))
    return f"seconds({expression(parts[0].expression, scope)}, {_SECONDS[parts[0].this.name]})"


def _key(path: Any) -> str:
    """The name in `document ->> 'name'`."""
    if isinstance(path, exp.Literal):
        return str(path.this)
    [key] = [part for part in path.expressions if isinstance(part, exp.JSONPathKey)]
    return str(key.this)


def _member(node: exp.JSONExtractScalar, scope: Scope) -> str:
    return f"member({expression(node.this, scope)}, {_key(node.expression)!r})"


_MAKERS: dict[type[Any], Any] = {
    exp.Parameter: lambda node, scope: f"a[{int(node.this.this) - 1}]",
    exp.Literal: _literal,
    exp.Boolean: lambda node, scope: repr(bool(node.this)),
    exp.Null: lambda node, scope: "None",
    exp.Column: lambda node, scope: scope.find(node.name, node.table),
    exp.Paren: lambda node, scope: expression(node.this, scope),
    exp.Cast: _cast,
    exp.Not: lambda node, scope: f"no({expression(node.this, scope)})",
    exp.Neg: lambda node, scope: f"(-{expression(node.this, scope)})",
    exp.In: _in,
    exp.Is: _is,
    exp.NullSafeEQ: lambda n, s: f"({expression(n.this, s)} == {expression(n.expression, s)})",
    exp.NullSafeNEQ: lambda n, s: f"({expression(n.this, s)} != {expression(n.expression, s)})",
    exp.Case: _case,
    exp.Tuple: _tuple,
    exp.Anonymous: _anonymous,
    exp.CurrentTimestamp: lambda node, scope: "tx.at",
    exp.Extract: lambda node, scope: f"epoch({expression(node.expression, scope)})",
    exp.MakeInterval: _interval,
    exp.JSONExtractScalar: _member,
    exp.Alias: lambda node, scope: expression(node.this, scope),
    exp.Length: lambda node, scope: f"len({expression(node.this, scope)})",
    exp.Any: lambda node, scope: expression(node.this, scope),
}
