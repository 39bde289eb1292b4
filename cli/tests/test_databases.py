"""What the stack says of a server that does not let it make its databases or topics, and what is enough for it."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from panier_cli.data_folder import DataFolder
from panier_cli.engines import Engine
from panier_cli.errors import Refused
from panier_cli.stack import local
from panier_cli.stack.databases import bring_up_to_date, make_databases, on, url_of
from panier_cli.stack.screen import Screen
from panier_cli.stack.services import Service

from .conftest import Panier

CART = Service("cart", database=True)
AWAY = "postgresql://a:secret@127.0.0.1:1/postgres"


class Elsewhere(Service):
    """The catalogue, which needs extensions, under names that no other test uses."""

    @property
    def module(self) -> str:
        return "panier_elsewhere"


CATALOG = Elsewhere("catalog", database=True)
Login = Callable[[str], Awaitable[str]]


@pytest_asyncio.fixture
async def login(postgres: str) -> AsyncIterator[Login]:
    """The server's URL for a role that has these rights alone."""
    admin = await asyncpg.connect(postgres)

    async def made(rights: str) -> str:
        await admin.execute(f"CREATE ROLE somebody LOGIN PASSWORD 'b' {rights}")
        return on(url_of(postgres, "somebody", "b"), "postgres")

    yield made
    await admin.execute("DROP DATABASE IF EXISTS panier_elsewhere WITH (FORCE)")
    await admin.execute("DROP ROLE IF EXISTS panier_elsewhere, panier_elsewhere_owner, somebody")
    await admin.close()


async def _no_engine() -> bool:
    return False


async def test_a_stack_without_its_database_is_refused_and_no_password_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = local.LocalStack(DataFolder(tmp_path), Screen(sys.stdout), [CART], {})
    engine = Engine("postgres", "setting", "127.0.0.1:1", AWAY, "", _no_engine)
    with pytest.raises(Refused, match="cannot be made: the database does not answer") as refused:
        await local._prepare_databases(stack, engine, {})
    assert (refused.value.code, "secret" in str(refused.value)) == ("no_database", False)

    async def nothing_to_make(*_: object) -> dict[str, str]:
        return {}

    monkeypatch.setattr(local, "make_databases", nothing_to_make)
    with pytest.raises(Refused, match="cart: the database does not answer"):
        await local._prepare_databases(stack, engine, {"PANIER_CART_DATABASE_URL": AWAY})


async def test_a_stack_without_its_broker_is_refused(tmp_path: Path) -> None:
    stack = local.LocalStack(DataFolder(tmp_path), Screen(sys.stdout), [], {})
    with pytest.raises(Refused, match=r"the broker at 127\.0\.0\.1:1 does not do it") as refused:
        await local._prepare_topics(stack, Engine("kafka", "setting", "", "127.0.0.1:1", "", _no_engine))
    assert (refused.value.code, "PANIER_KAFKA_" in refused.value.hint) == ("no_broker", True)


async def test_a_role_that_may_make_no_databases_is_told_what_it_lacks(login: Login) -> None:
    with pytest.raises(Refused, match="permission denied to create role") as refused:
        await make_databases(await login(""), [CATALOG], {"catalog": "a"})
    assert (refused.value.code, "create databases and roles" in refused.value.hint) == ("no_right", True)


async def test_a_role_that_may_create_databases_and_roles_is_enough(login: Login) -> None:
    server = await login("CREATEDB CREATEROLE")
    for _ in range(2):
        await make_databases(server, [CATALOG], {"catalog": "a"})
    applied = await bring_up_to_date("catalog", on(server, "panier_elsewhere"))
    assert "panier_catalog" in {name.partition("/")[0] for name in applied}


async def test_what_the_database_refuses_of_a_migration_is_said_in_its_words(
    login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("panier_common.postgres.migrations", lambda _: [("panier_cart/1.sql", "SELECT nonsense")])
    server = await login("CREATEDB CREATEROLE")
    await make_databases(server, [CATALOG], {"catalog": "a"})
    with pytest.raises(Refused, match='catalog: the database says: column "nonsense" does not exist'):
        await bring_up_to_date("catalog", on(server, "panier_elsewhere"))


def test_a_misspelt_file_of_a_url_is_named(panier: Panier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANIER_CART_DATABASE_URL_FILE", "/nowhere")
    done = panier("migrate", "--service", "cart", "--json")
    assert (done.exit, done.error["code"]) == (1, "bad_setting")
    assert "PANIER_CART_DATABASE_URL_FILE cannot be read" in done.error["message"]
