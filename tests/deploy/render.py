"""Renders an overlay as a cluster would get it: by kustomize itself."""

import copy
import pathlib
import subprocess
from functools import cache
from typing import Any

import yaml
from programs import kustomize

Object = dict[str, Any]
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def render(folder: pathlib.Path) -> list[Object]:
    """Every object that `kustomize build` prints for this folder; the caller's to change."""
    return copy.deepcopy(_rendered(folder))


@cache
def _rendered(folder: pathlib.Path) -> list[Object]:
    done = subprocess.run([kustomize(), "build", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.load_all(done.stdout, Loader=_LOADER) if one]
