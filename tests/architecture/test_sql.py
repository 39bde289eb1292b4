"""SQL is written down, never put together: values go in as parameters. Also what a linter's patterns do not see.

A statement may be a literal, or literals and constants of modules (in capitals) joined; nothing else.
"""

import ast
import pathlib
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).parents[2]
ASKING = {"execute", "executemany", "executescript", "fetch", "fetchrow", "fetchval", "fetchmany", "cursor"}
# path → why statements are put together there
MADE = {
    "cli/src/panier_cli/stack/databases.py": "names of roles and databases cannot be parameters; all are our own",
    "libs/common/src/panier_common/keeping.py": "one statement over the constants of each service's keeping.py",
    "libs/common/src/panier_common/restored.py": "runs a file that a service brings in its package, as a migration is",
    "simulator/src/panier_simulator/database.py": "names of its own tables and columns, which cannot be parameters",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Module


def sources() -> list[pathlib.Path]:
    folders = ("libs", "services", "simulator", "cli")
    return [
        path
        for folder in folders
        for path in sorted((ROOT / folder).rglob("src/**/*.py"))
        if "testing" not in path.parts
    ]


def is_written_down(node: ast.expr, known: dict[str, list[ast.expr]]) -> bool:
    """Whether the text is the same whatever the program is given. `known` has what local names were set to."""
    match node:
        case ast.Constant():
            return True
        case ast.Name(id=name) | ast.Attribute(attr=name) if name.isupper():
            return True
        case ast.Name(id=name) if name in known:
            rest = {other: values for other, values in known.items() if other != name}
            return all(is_written_down(value, rest) for value in known[name])
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return is_written_down(left, known) and is_written_down(right, known)
        case ast.JoinedStr(values=values):
            return all(is_written_down(value, known) for value in values)
        case ast.FormattedValue(value=value):
            return is_written_down(value, known)
        case ast.IfExp(body=body, orelse=orelse):
            return is_written_down(body, known) and is_written_down(orelse, known)
    return False


def _own(function: Function) -> Iterator[ast.AST]:
    """What is in it, but not in functions inside it."""
    waiting: list[ast.AST] = list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting += ast.iter_child_nodes(node)


def _set_in(function: Function) -> dict[str, list[ast.expr]]:
    known: dict[str, list[ast.expr]] = {}
    for node in _own(function):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                known.setdefault(name, []).append(value)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                known.setdefault(name, []).append(value)
            case ast.AugAssign(target=ast.Name(id=name), value=value):
                known.setdefault(name, []).append(value)
    return known


def _statement(call: ast.Call) -> ast.expr | None:
    """The first argument, of a call that looks like one of a database's; a name that was given is not judged."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in ASKING or not call.args:
        return None
    [first, *_] = call.args
    return None if isinstance(first, ast.Starred) else first


def put_together(source: str) -> list[int]:
    """Lines of statements that depend on something else than the program's text."""
    tree = ast.parse(source)
    module = _set_in(tree)
    found = []
    for function in [tree, *(n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))]:
        known = module | _set_in(function)
        for node in _own(function):
            if not isinstance(node, ast.Call) or (statement := _statement(node)) is None:
                continue
            given = isinstance(statement, ast.Name) and statement.id not in known
            if not given and not is_written_down(statement, known):
                found.append(node.lineno)
    return sorted(found)


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_statement_is_written_down(path: pathlib.Path) -> None:
    name = str(path.relative_to(ROOT))
    lines = put_together(path.read_text("utf-8"))
    if name in MADE:
        assert lines, f"{name} makes no statements any more: take it out of MADE"
    else:
        assert lines == [], f"{name}: pass values as parameters, or say why not in MADE"


@pytest.mark.parametrize(
    "fault",
    [
        "await db.fetch(f\"SELECT * FROM cart WHERE customer = '{customer}'\")",
        'await db.fetch("SELECT * FROM cart WHERE customer = \'" + customer + "\'")',
        'await db.execute("SELECT * FROM cart WHERE customer = %s" % customer)',
        'await db.fetchrow("SELECT * FROM cart WHERE customer = {}".format(customer))',
        'await db.fetchval(" ".join(["SELECT", customer]))',
        "await db.execute(select(customer))",
        'sql = f"DROP TABLE {customer}"\n    await db.execute(sql)',
        'sql = "SELECT 1"\n    sql += customer\n    await db.execute(sql)',
        'sql: str = "SELECT " + customer\n    await db.execute(sql)',
        'async with db.transaction():\n        await db.executemany(f"DELETE FROM cart WHERE id = {customer}", [])',
    ],
)
def test_a_planted_fault_is_found(fault: str) -> None:
    assert put_together(f"async def f(db, customer):\n    {fault}\n")


@pytest.mark.parametrize(
    "right",
    [
        'await db.fetch("SELECT * FROM cart WHERE customer = $1", customer)',
        'await db.fetch(f"SELECT {COLUMNS} FROM cart WHERE customer = $1", customer)',
        'sql = "SELECT 1" if customer else "SELECT 2"\n    await db.execute(sql)',
        'await db.fetch("SELECT 1 " "FROM cart")',
    ],
)
def test_what_is_right_is_not_found(right: str) -> None:
    assert put_together(f'COLUMNS = "a, b"\nasync def f(db, customer):\n    {right}\n') == []
