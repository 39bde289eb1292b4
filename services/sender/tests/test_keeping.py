"""On a real PostgreSQL: windows of silent customers go, and never a stop."""

from datetime import UTC, datetime, timedelta

import asyncpg
from panier_common.keeping import SILENT, forget
from panier_sender import db
from panier_sender.keeping import KEPT
from panier_sender.window import Window

NOW = datetime.now(UTC)
OLD, YOUNG = NOW - SILENT - timedelta(days=1), NOW - SILENT + timedelta(days=1)


async def test_silent_windows_and_old_uploads_go_and_stops_stay(database) -> None:
    connection = await asyncpg.connect(await database("panier_sender"))
    windows = {
        "silent": Window(OLD, spoke_at=OLD),
        "young": Window(YOUNG, spoke_at=OLD),
        "stopped": Window(OLD, stopped=True, spoke_at=OLD),
        "no offers": Window(OLD, no_offers=True),
        "never wrote": Window(),
    }
    await db.save_windows(connection, windows)
    for name, days in (("young", 29), ("old", 32)):
        await db.save_upload(connection, "100", name, "media")
        await connection.execute(
            "UPDATE upload SET uploaded_at = now() - make_interval(days => $2) WHERE digest = $1", name, days
        )
    for rule in KEPT:
        await forget(connection, rule)
    assert await db.load_windows(connection, windows) == {
        name: windows[name] for name in ("young", "stopped", "no offers")
    }
    assert await connection.fetchval("SELECT array_agg(digest) FROM upload") == ["young"]
    await connection.close()
