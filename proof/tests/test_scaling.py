"""One process more and one less, as the plan's `scale` asks the local stack for it."""

import asyncio
from pathlib import Path

import psutil
from panier_cli.children import Program
from panier_cli.data_folder import DataFolder
from panier_cli.stack.keeper import Keeper
from panier_cli.stack.local import LocalStack, ServiceProcess
from panier_cli.stack.services import SERVICES
from panier_proof.screen import Screen


async def test_a_process_more_is_known_to_the_stack_and_ends_with_its_removal(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    folder.hold()
    stack = LocalStack(folder, Screen(tmp_path / "log"), SERVICES, {})

    def start(process: ServiceProcess) -> None:
        program = Program(process.service.name, ("sleep", "60"))
        process.keeper = Keeper(program, stack.display.show, stack.publish)

    stack.start = start
    process = stack.add("cart")
    async with asyncio.timeout(10):
        while process.pid is None:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    pid = process.pid
    assert _listed(folder) == [{"admin": process.admin, "pid": pid}]
    await stack.remove(process)
    assert _listed(folder) == []
    assert not psutil.pid_exists(pid)


def _listed(folder: DataFolder) -> list[dict[str, object]]:
    state = folder.state()
    assert state is not None
    [cart] = [service for service in state["services"] if service["name"] == "cart"]
    found: list[dict[str, object]] = cart["processes"]
    return found
