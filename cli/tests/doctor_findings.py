"""Findings of `panier doctor` as tests look at them."""

from typing import Any

from panier_cli.doctor.findings import Finding


def levels(found: Any) -> dict[str, str]:
    return {one.check: one.level for one in found}


def the(found: Any, check: str) -> Finding:
    [one] = [one for one in found if one.check == check]
    return one
