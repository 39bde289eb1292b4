"""`python -m panier_bench.bare_client URL FILE CONCURRENCY`: post each line of a file by the sender's HTTP client.

What the sender's calls cost without a sender: no journal, no order, no Kafka.
"""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
from panier_common.process import main

HEADERS = {"Content-Type": "application/json", "Authorization": "Bearer bench"}
TIMEOUT = aiohttp.ClientTimeout(total=5.0, sock_connect=2.5)


async def post(session: aiohttp.ClientSession, url: str, bodies: Iterator[bytes]) -> None:
    for body in bodies:
        async with session.post(url, data=body, headers=HEADERS, timeout=TIMEOUT, allow_redirects=False) as response:
            response.raise_for_status()
            await response.read()


async def run() -> None:
    url, file, concurrency = sys.argv[1:]
    bodies = iter(Path(file).read_bytes().splitlines())  # noqa: ASYNC240 - nothing runs yet
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=4.0)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        await asyncio.gather(*(post(session, url, bodies) for _ in range(int(concurrency))))


if __name__ == "__main__":
    main(run)
