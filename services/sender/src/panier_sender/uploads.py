"""Files that messages carry: uploaded once for each number, then named by the id that Meta gave them."""

import asyncio
import re
import time

from panier_common.postgres import AWAY, Pool

from panier_sender import db
from panier_sender.errors import RULES, Class
from panier_sender.graph import UPLOAD_FAILED, Answer, Graph
from panier_sender.line import Entry
from panier_sender.render import UPLOAD

# What another process uploaded is found in the database; what was found is not asked for again so soon.
REMEMBER_SECONDS = 3600.0
REMEMBER_MOST = 10_000
UPLOADS_LIMIT = 16  # at once: they need no turn of their number's, so they have a limit of their own
MEDIA_REFUSED = RULES[131053]

_PLACE = re.compile(f'"{UPLOAD}([0-9a-f]{{64}})"')


class Uploads:
    """Ids of uploads, by number and content. Concurrent messages with one file wait for one upload."""

    def __init__(self, pool: Pool, graph: Graph) -> None:
        self._pool = pool
        self._graph = graph
        self._known: dict[tuple[str, str], tuple[float, str]] = {}
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}
        self._room = asyncio.Semaphore(UPLOADS_LIMIT)

    async def in_place(self, entry: Entry, token: str, seconds: float) -> str | Answer:
        """The call's body with the id of the upload in it, or why there is none: nothing has been sent then."""
        place = _PLACE.search(entry.body)
        if place is None:
            return Answer(MEDIA_REFUSED)
        key = (entry.phone_number_id, place.group(1))
        lock = self._locks.setdefault(key, asyncio.Lock())
        try:
            async with asyncio.timeout(seconds), lock:
                found = await self._find(key, token, seconds)
        except AWAY:
            return Answer(UPLOAD_FAILED)
        finally:
            if not lock.locked():
                self._locks.pop(key, None)
        return found if isinstance(found, Answer) else entry.body.replace(place.group(), f'"{found}"', 1)

    async def _find(self, key: tuple[str, str], token: str, seconds: float) -> str | Answer:
        known = self._known.get(key)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        async with self._room:
            found = await self._found_or_uploaded(key, token, seconds)
        if isinstance(found, Answer):
            return found
        if len(self._known) >= REMEMBER_MOST:
            self._known.clear()
        self._known[key] = (time.monotonic() + REMEMBER_SECONDS, found)
        return found

    async def _found_or_uploaded(self, key: tuple[str, str], token: str, seconds: float) -> str | Answer:
        number, digest = key
        async with self._pool.acquire(timeout=seconds) as connection:
            media_id = await db.find_upload(connection, number, digest)
            file = await db.find_file(connection, digest) if media_id is None else None
        if media_id is None:
            if file is None:  # it waited for so long that its file was forgotten
                return Answer(MEDIA_REFUSED)
            rule, media_id, code = await self._graph.upload(number, token, *file, seconds)
            if rule.kind is not Class.ACCEPTED:
                return Answer(rule, code=code)
            async with self._pool.acquire(timeout=seconds) as connection:
                await db.save_upload(connection, number, digest, media_id)
        return media_id
