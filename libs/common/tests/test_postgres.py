"""Connections to PostgreSQL: a URL that is none is said so, without anything of it."""

import traceback
from collections.abc import Awaitable, Callable

import pytest
from panier_common.postgres import AWAY, connect, create_pool, is_about_the_url, migrate, missing_migrations, why_away

# Passwords as generators make them, written into a URL as they are; what asyncpg says quotes the part before the `/`.
SPOILT = ("hunter/2+c==", "hunter?2", "hunter#2", "[hunter]2")


async def _by_a_pool(url: str) -> None:
    pool = await create_pool(url)
    try:
        await missing_migrations(pool, "panier_cart")
    finally:
        pool.terminate()


async def _by_a_migration(url: str) -> None:
    await migrate(url, "panier_cart")


async def _by_hand(url: str) -> None:
    await connect(url, timeout=1)


@pytest.mark.parametrize("way", [_by_a_pool, _by_a_migration, _by_hand])
@pytest.mark.parametrize("password", SPOILT)
async def test_a_password_that_breaks_the_url_is_said_and_not_shown(
    password: str, way: Callable[[str], Awaitable[None]]
) -> None:
    with pytest.raises(AWAY) as raised:
        await way(f"postgresql://panier_cart:{password}@127.0.0.1:1/panier_cart")
    said = why_away(raised.value)
    assert said.startswith("the database's URL cannot be read: percent-encode the password in it")
    assert is_about_the_url(raised.value)
    told = "".join(traceback.format_exception(raised.value)) + repr(raised.value.__context__) + said
    assert "hunter" not in told


async def test_a_password_whose_first_part_is_a_port_is_not_shown_either() -> None:
    """`panier_cart` is then the host, which nobody knows."""
    with pytest.raises(AWAY) as raised:
        await _by_hand("postgresql://panier_cart:12/ab@127.0.0.1:1/panier_cart")
    assert "percent-encode" in why_away(raised.value)
