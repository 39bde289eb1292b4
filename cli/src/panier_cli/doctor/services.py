"""The services themselves: ready, of one version, without dead letters; and whether sales counted what was sold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from typing import Any

from panier_cli.doctor.findings import Finding, fail, ok, skipped, warn
from panier_cli.errors import Refused
from panier_cli.internal_api import WITH_DATABASE, InternalApi, path
from panier_cli.stack.services import SERVICES

FAR_BEHIND_SECONDS = 30.0


def look(status: Mapping[str, Any], api: InternalApi) -> Iterator[Finding]:
    """`status` is the document of `panier status`."""
    rows = {row["name"]: row for row in status["services"]}
    for service in SERVICES:
        if not service.admin:
            continue
        row = rows.get(service.name)
        if row is None:
            setting = service.setting("ADMIN_URL")
            yield skipped(f"service.{service.name}", "where it answers is not known", f"set {setting}")
        else:
            yield from judge(row)
    yield versions({name: row["version"] for name, row in rows.items() if row["version"] and name != "simulator"})
    yield from _dead_letters(api, [name for name in WITH_DATABASE if name in rows])


def judge(row: Mapping[str, Any]) -> Iterator[Finding]:
    """One service's row of `panier status`."""
    check = f"service.{row['name']}"
    if not row["ready"]:
        yield fail(check, f"not ready: {row['why']}", "docs/runbooks/not-ready.md")
        return
    behind = {t: lag for t, lag in row["lag"].items() if lag["records"] and lag["seconds"] > FAR_BEHIND_SECONDS}
    for topic, lag in behind.items():
        says = f"{lag['records']} records and {lag['seconds']:.0f} s behind on {topic}"
        yield warn(check, says, "docs/runbooks/lag.md")
    if not behind:
        yield ok(check, "ready")


def versions(found: Mapping[str, str]) -> Finding:
    """All the same, and that of this command."""
    ours = version("panier-cli")
    odd = {name: one for name, one in found.items() if one != ours}
    if not odd:
        return ok("service.versions", f"everything is {ours}")
    says = f"this command is {ours}, but " + ", ".join(f"{name} is {one}" for name, one in sorted(odd.items()))
    return warn("service.versions", says, "two versions may run side by side while rolling out, not longer")


def _dead_letters(api: InternalApi, names: list[str]) -> Iterator[Finding]:
    for name in names:
        check = f"dead-letters.{name}"
        try:
            letters = api.get(name, path("dead-letters"))
        except Refused as error:
            yield skipped(check, f"cannot be asked: {error}", error.hint)
            continue
        if letters:
            yield warn(check, f"{len(letters)} records wait for a person", "docs/runbooks/dead-letters.md")
        else:
            yield ok(check, "none")


def look_at_sales(differences: Callable[[], list[dict[str, Any]]]) -> Finding:
    """`differences` compares sales with orders, once both had time to agree."""
    try:
        found = differences()
    except Refused as error:
        return skipped("sales", f"cannot be compared: {error}", error.hint)
    if not found:
        return ok("sales", "sales and orders are equal")
    days = sorted({f"{one['shop']} {one['day']}" for one in found})
    return fail("sales", f"sales and orders differ: {', '.join(days)}", "`panier sales verify` shows every figure")
