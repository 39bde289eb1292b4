"""`python -m panier_proof.simulated`: seeds one after the other; a failing one is shrunk and printed."""

import sys
from collections import Counter
from typing import Annotated

import typer

from panier_proof.simulated.run import History, Result, history, run, with_known_hashes
from panier_proof.simulated.shrink import shrunk, told


def simulate(
    seed: Annotated[int, typer.Option(help="The first seed.")] = 1,
    seeds: Annotated[int, typer.Option(help="How many seeds, one after the other.")] = 3,
    customers: Annotated[int, typer.Option(help="Customers of each.")] = 300,
    faults: Annotated[int, typer.Option(help="Faults of each, besides those of simulated Meta.")] = 10,
    seconds: Annotated[float, typer.Option(help="Simulated seconds in which the customers come.")] = 30.0,
    shrink: Annotated[bool, typer.Option(help="Look for a shorter history that fails as well.")] = True,
) -> None:
    """Shop on simulated engines while the scheduler strikes; exit 0 when nothing was found."""
    actions, cpu, struck, failed = 0, 0.0, Counter[str](), 0
    for one in range(seed, seed + seeds):
        made = history(one, customers, faults, seconds)
        result = run(made)
        actions, cpu = actions + result.actions, cpu + result.cpu_seconds
        struck.update(result.struck)
        print(f"seed {one}: {_line(result)}", flush=True)
        if result.findings:
            failed += 1
            _tell(made, result, shrink=shrink)
    faults_told = ", ".join(f"{name} {count}" for name, count in sorted(struck.items()))
    pace = actions / max(cpu, 0.01) * 60
    print(f"{seeds} seeds, {failed} failed; {actions} actions, {pace:,.0f} a minute of one core")
    print(f"faults: {faults_told or 'none'}")
    sys.exit(1 if failed else 0)


def _line(result: Result) -> str:
    pace = result.actions / max(result.cpu_seconds, 0.01) * 60
    return (
        f"{result.actions} actions, {result.orders} orders in {result.virtual_seconds:.0f} simulated seconds, "
        f"{result.cpu_seconds:.1f} s of processor ({pace:,.0f} a minute), {len(result.findings)} findings"
    )


def _tell(made: History, result: Result, *, shrink: bool) -> None:
    for finding in result.findings[:20]:
        print(f"  {finding.invariant}: {finding.what} {finding.conversation}")
    if shrink:
        wanted = {finding.invariant for finding in result.findings}
        short = shrunk(made, lambda some: bool(wanted & {finding.invariant for finding in run(some).findings}))
        print("the shortest history found that fails so:", told(short), sep="\n", flush=True)


if __name__ == "__main__":
    with_known_hashes("panier_proof.simulated")
    typer.run(simulate)
