"""Whether what the environment says can be read and understood: files of secrets, values, names that nobody knows."""

from __future__ import annotations

import difflib
import importlib
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from panier_common.settings import Settings, SettingsError

from panier_cli.doctor.findings import Finding, fail, ok, skipped, warn
from panier_cli.stack.environment import SECRETS
from panier_cli.stack.services import SERVICES

_MISSING = "Field required"
# Of the command line, the local stack and the jobs.
_OURS = {
    *SECRETS,
    "PANIER_DATA",
    "PANIER_SHOPS",
    "PANIER_POSTGRES_URL",
    "PANIER_SIMULATED_PAYMENT_URL",
    "PANIER_GRAPH_URL",
    "PANIER_GRAPH_VERSION",
    "PANIER_FAIL_POINTS",
    *(s.setting(word) for s in SERVICES for word in ("ADMIN_URL", "PROCESSES")),
}


def look(env: Mapping[str, str], running: Collection[str]) -> Iterator[Finding]:
    """`running` are the services that answer: what they need and this environment lacks, they were given themselves."""
    yield from _files(env)
    classes = {name: kind for name in (s.name for s in SERVICES) if (kind := _class(name)) is not None}
    yield from _names(env, classes)
    for name, kind in classes.items():
        yield _values(name, kind, env, name in running)


def _files(env: Mapping[str, str]) -> Iterator[Finding]:
    named = {name: path for name, path in sorted(env.items()) if name.endswith("_FILE") and path and _is_setting(name)}
    bad = []
    for name, path in named.items():
        try:
            if not Path(path).read_text("utf-8").strip():
                bad.append(fail("settings.files", f"{name} names {path}, which is empty", "write the value into it"))
        except (OSError, UnicodeDecodeError) as error:
            what = f"{name} names {path}, which cannot be read ({type(error).__name__})"
            bad.append(fail("settings.files", what, "mount the Secret, or give this user the right to read it"))
    yield from bad
    if not bad:
        yield ok("settings.files", f"{len(named)} settings are given as files, and all can be read")


def _is_setting(name: str) -> bool:
    return name.startswith("PANIER_") or name.endswith("_TOKEN_FILE")


def _class(service: str) -> type[Settings] | None:
    """The service's settings, where its package is installed; the command's own image lacks some."""
    try:
        module = importlib.import_module(f"panier_{service}.settings")
    except ModuleNotFoundError:
        return None
    kinds = [kind for kind in vars(module).values() if isinstance(kind, type) and kind.__module__ == module.__name__]
    return next((kind for kind in kinds if issubclass(kind, Settings)), None)


def _known(kind: type[Settings]) -> set[str]:
    prefix = kind.model_config.get("env_prefix") or ""
    return {str(field.validation_alias or f"{prefix}{name}").upper() for name, field in kind.model_fields.items()}


def _names(env: Mapping[str, str], classes: Mapping[str, type[Settings]]) -> Iterator[Finding]:
    if len(classes) < len(SERVICES) - 1:  # the simulator is no part of a deployment
        yield skipped("settings.names", "not every service's package is here: its settings' names are not known")
        return
    known = set().union(_OURS, *(_known(kind) for kind in classes.values()))
    # The simulator is no part of a deployment, and its settings are its own affair.
    given = {name for name in env if name.startswith("PANIER_") and not name.startswith("PANIER_SIMULATOR_")}
    unknown = sorted(name for name in given if name not in known and name.removesuffix("_FILE") not in known)
    for name in unknown:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}?" if near else "see docs/configuration.md"
        yield warn("settings.names", f"no program reads {name}", hint)
    if not unknown:
        yield ok("settings.names", "every PANIER_ setting here is known to some program")


def _values(service: str, kind: type[Settings], env: Mapping[str, str], running: bool) -> Finding:
    check = f"settings.{service}"
    try:
        with as_environment(env):
            kind()
    except SettingsError as error:
        problems = str(error).split("; ")
        wrong = [problem for problem in problems if _MISSING not in problem]
        missing = [problem.partition(":")[0] for problem in problems if _MISSING in problem]
        if wrong:
            return fail(check, "; ".join(wrong), "docs/configuration.md says what each setting may be")
        if running:
            return skipped(check, f"{', '.join(missing)} not given here; the running service has its own")
        return fail(
            check, f"{', '.join(missing)} missing", f"give them to {service}, and to this command to check them"
        )
    except (OSError, ValueError) as error:  # a `_FILE`; said by `settings.files` with its name
        return fail(check, f"a file that a setting names cannot be read ({type(error).__name__})", "see settings.files")
    return ok(check, "everything required is given and understood")


class as_environment:  # noqa: N801 (a context manager)
    """Settings classes read the process's environment only."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def __enter__(self) -> None:
        self._before = dict(os.environ)
        os.environ.clear()
        os.environ.update(self._env)

    def __exit__(self, *_: object) -> None:
        os.environ.clear()
        os.environ.update(self._before)
