"""The deployment as this process can see it: the environment, completed by what the local stack wrote down."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from panier_cli.data_folder import DataFolder, data_path
from panier_cli.stack.databases import url_of
from panier_cli.stack.environment import SECRETS, has, token_names
from panier_cli.stack.local import EXAMPLE_SHOPS
from panier_cli.stack.services import SERVICES


def deployment(env: Mapping[str, str]) -> dict[str, str]:
    """The settings to go by. What the environment says wins; without a local stack it is all there is."""
    folder = DataFolder(data_path(env))
    state = folder.state()
    if state is None:
        return dict(env)
    engines, addresses = state.get("engines", {}), state.get("addresses", {})
    found: dict[str, str | None] = {
        "PANIER_KAFKA_BOOTSTRAP_SERVERS": engines.get("kafka", {}).get("address"),
        "PANIER_SHOPS": str(EXAMPLE_SHOPS),
        **{name: folder.known_secret(name) for name in SECRETS},
    }
    if "simulator" in addresses:
        found["PANIER_GRAPH_URL"] = f"{addresses['simulator']}/graph"
        found["PANIER_SIMULATED_PAYMENT_URL"] = f"{addresses['simulator']}/pay"
    found |= {name: folder.known_secret(name) for name in token_names(Path(env.get("PANIER_SHOPS") or EXAMPLE_SHOPS))}
    server = engines.get("postgres", {}).get("address", "")
    for service in SERVICES:
        password = folder.known_secret(f"database {service.name}") if service.database else None
        if server and password:
            at = server if "://" in server else f"postgresql://{server}"
            found[service.setting("DATABASE_URL")] = url_of(at, service.module, password)
    ours = {name: value for name, value in found.items() if value and not has(env, name)}
    return {**env, **ours}
