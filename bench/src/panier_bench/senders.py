"""Processes of the sender, which can be killed in the middle of their work."""

import contextlib
import os
import signal

from panier_bench import cores, processes


class Senders:
    """Processes of the sender, which can be killed and are started again. `module` is what is started."""

    def __init__(self, settings: dict[str, str], module: str = "") -> None:
        self._settings = settings
        self._module = module
        self._running: list[tuple[contextlib.AsyncExitStack, int]] = []

    async def start(self) -> None:
        stack = contextlib.AsyncExitStack()
        pid = await stack.enter_async_context(processes.service("sender", self._settings, cores.anywhere, self._module))
        self._running.append((stack, pid))

    async def kill(self) -> None:
        """SIGKILL for the one that has run longest; another one takes its place."""
        stack, pid = self._running.pop(0)
        os.kill(pid, signal.SIGKILL)
        await stack.aclose()
        await self.start()

    async def stop(self) -> None:
        for stack, _ in self._running:
            await stack.aclose()
