"""The state of a stack, as `panier status` tells it. Standard library only: it is asked often."""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from panier_cli.data_folder import DataFolder, data_path
from panier_cli.errors import DONE, FAILED, Refused
from panier_cli.stack.services import SERVICES

_SECONDS = 2.0


def run(as_json: bool) -> int:
    """Print the state of the stack; the exit status is 0 only when all services are ready."""
    document = read_status(os.environ)
    if as_json:
        print(json.dumps(document, ensure_ascii=False))
    else:
        _show(document)
    return DONE if all(service["ready"] for service in document["services"]) else FAILED


def read_status(env: Mapping[str, str]) -> dict[str, Any]:
    """The document of `panier status`, from the running stack or from PANIER_<SERVICE>_ADMIN_URL."""
    state = DataFolder(data_path(env)).state() or {}
    listed = {row["name"]: row["processes"] for row in state.get("services", [])}
    for service in SERVICES:
        if url := env.get(service.setting("ADMIN_URL")):
            listed[service.name] = [{"admin": url.rstrip("/"), "pid": None}]
    if not listed:
        raise Refused(
            "not_running",
            f"no stack runs on {data_path(env)}",
            "start one by `make run`, or name it by PANIER_DATA",
        )
    kafka = env.get("PANIER_KAFKA_BOOTSTRAP_SERVERS")
    named = {"kafka": {"kind": "setting", "address": kafka}} if kafka else {}
    with ThreadPoolExecutor(16) as pool:
        asked = {name: [pool.submit(_ask, p["admin"]) for p in processes] for name, processes in listed.items()}
    services = [_row(name, listed[name], [future.result() for future in futures]) for name, futures in asked.items()]
    return {"engines": state.get("engines") or named, "services": services}


def _ask(admin: str) -> dict[str, Any]:
    """One process's own /status, or why there is none."""
    parts = urlsplit(admin)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=_SECONDS)
    try:
        connection.request("GET", f"{parts.path}/status")
        answer = connection.getresponse()
        document = json.loads(answer.read())
        if answer.status == 200 and isinstance(document, dict):
            return document
        return {"ready": False, "why": f"/status answered {answer.status}"}
    except (OSError, ValueError, http.client.HTTPException) as error:
        return {"ready": False, "why": f"does not answer ({type(error).__name__})"}
    finally:
        connection.close()


def _row(name: str, processes: list[dict[str, Any]], answers: list[dict[str, Any]]) -> dict[str, Any]:
    """One service, its processes taken together: ready when all are, lags added up, the oldest age."""
    why = next((answer.get("why") or "not ready" for answer in answers if not answer.get("ready")), None)
    return {
        "name": name,
        "admin": processes[0]["admin"],
        "version": next((answer["version"] for answer in answers if answer.get("version")), None),
        "pids": [process["pid"] for process in processes if process["pid"] is not None],
        "ready": why is None,
        "why": why,
        "lag": _together(answer.get("lag") or {} for answer in answers),
    }


def _together(lags: Iterable[dict[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {}
    for lag in lags:
        for topic, behind in lag.items():
            so_far = total.setdefault(topic, {"records": 0, "seconds": 0.0})
            so_far["records"] += behind.get("records") or 0
            so_far["seconds"] = max(so_far["seconds"], behind.get("seconds") or 0.0)
    return total


def _show(document: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for name, engine in document["engines"].items():
        console.print(f"{name}: {engine['address']} ({engine['kind']})", highlight=False)
    table = Table("service", "ready", "version", "processes", "records behind", "admin")
    for row in document["services"]:
        behind = str(sum(lag["records"] for lag in row["lag"].values()))
        pids = " ".join(str(pid) for pid in row["pids"])
        ready = "[green]yes[/green]" if row["ready"] else f"[red]{row['why']}[/red]"
        table.add_row(row["name"], ready, row["version"] or "", pids, behind, row["admin"])
    console.print(table)
