"""The one table of what the local stack starts. Each runs as ``python -m <module>``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Service:
    """``port`` is the public one's default, ``many`` whether several processes may share the work.

    ``admin`` is false for what has its probes on its public port: it is not a service of the deployment.
    """

    name: str
    database: bool = False
    port: int | None = None
    many: bool = False
    admin: bool = True

    @property
    def module(self) -> str:
        return f"panier_{self.name}"

    def setting(self, word: str) -> str:
        """The name of one of its settings."""
        return f"PANIER_{self.name.upper()}_{word}"


# In the order in which readiness is waited for: what others need comes first, the door opens last.
SERVICES = (
    Service("simulator", port=8070, admin=False),
    Service("catalog", database=True, many=True),
    Service("cart", database=True, many=True),
    Service("checkout", database=True, many=True),
    Service("sender", database=True, many=True),
    Service("console", database=True, port=8090),
    Service("sales"),
    Service("ingest", port=8080),
)
