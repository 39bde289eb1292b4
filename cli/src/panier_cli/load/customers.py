"""Customers who do not exist, each writing in turn: the requests of `panier load`, made when they are sent."""

import time
from collections.abc import Sequence
from typing import overload

from panier_cli.load import webhooks

# Numbers that France's regulator keeps for fiction: an answer that went to Meta after all would reach nobody.
FIRST, MOST = 33_639_980_000, 10_000


class Writing(Sequence[bytes]):
    """`count` signed webhooks, no two of the same message; customer n writes with every `customers`th of them."""

    def __init__(self, count: int, customers: int, number: str, words: str, secret: str, path: str, host: str) -> None:
        self._count, self._customers, self._number = count, customers, number
        self._message = webhooks.text(words)
        self._secret, self._path, self._host = secret, path, host
        self._run = time.time_ns()

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, n: int) -> bytes: ...

    @overload
    def __getitem__(self, n: slice) -> list[bytes]: ...

    def __getitem__(self, n: int | slice) -> bytes | list[bytes]:
        if isinstance(n, slice):
            return [self._made(one) for one in range(self._count)[n]]
        return self._made(range(self._count)[n])

    def _made(self, n: int) -> bytes:
        wamid = f"wamid.HBgLMzM2{self._run:x}{n:08x}"
        customer = str(FIRST + n % self._customers)
        body = webhooks.webhook(self._number, customer, wamid, int(time.time()), self._message)
        return webhooks.request(body, self._secret, self._path, self._host)
