"""Renders the part of Kustomize that our manifests use, so that they are checked where no kustomize is.

That part is: resources, patches (strategic merge, by name or by kind), namespace, labels, images. Anything else in
a kustomization is refused instead of overlooked. Where a real kustomize is found, a test compares the two.
"""

import copy
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import yaml

Object = dict[str, Any]

# What identifies an element of a list when two are merged; lists of anything else are replaced.
_MERGE_KEYS = {
    "containers": "name",
    "env": "name",
    "ports": "containerPort",
    "volumes": "name",
    "volumeMounts": "mountPath",
}
_WITHOUT_NAMESPACE = {"Namespace"}


def render(folder: pathlib.Path) -> list[Object]:
    """Every object that `kustomize build` would print for this folder."""
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    objects = list(_resources(folder, kustomization.pop("resources")))
    for step in ("apiVersion", "kind"):
        del kustomization[step]
    for patch in kustomization.pop("patches", []):
        _patch(objects, yaml.safe_load((folder / patch["path"]).read_text(encoding="utf-8")), patch.get("target"))
    for label in kustomization.pop("labels", []):
        _label(objects, label["pairs"], label.get("includeTemplates", False))
    if namespace := kustomization.pop("namespace", None):
        for one in objects:
            if one["kind"] not in _WITHOUT_NAMESPACE:
                one["metadata"]["namespace"] = namespace
    _retag(objects, kustomization.pop("images", []))
    if kustomization:
        raise ValueError(f"{folder}: this renderer does not know {', '.join(kustomization)}")
    return objects


def _resources(folder: pathlib.Path, names: Iterable[str]) -> Iterator[Object]:
    for name in names:
        path = folder / name
        if path.is_dir():
            yield from render(path)
        else:
            yield from (one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one)


def _patch(objects: list[Object], patch: Object, target: dict[str, str] | None) -> None:
    def same_object(one: Object) -> bool:
        return bool(one["kind"] == patch["kind"] and one["metadata"]["name"] == patch["metadata"]["name"])

    def same_kind(one: Object) -> bool:
        return target is not None and one["kind"] == target["kind"]

    chosen: Callable[[Object], bool] = same_object if target is None else same_kind
    found = [n for n, one in enumerate(objects) if chosen(one)]
    if not found:
        raise ValueError(f"no object for the patch {patch['kind']} {patch['metadata']['name']}")
    for n in found:
        objects[n] = _merge(objects[n], {**patch, "metadata": {}})


def _merge(old: Any, new: Any, key: str = "") -> Any:
    """Kubernetes' strategic merge, without its deletions."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{name: _merge(old.get(name), value, name) for name, value in new.items()}}
    if isinstance(old, list) and isinstance(new, list) and key in _MERGE_KEYS:
        by = _MERGE_KEYS[key]
        there = {one[by]: one for one in old}
        return list((there | {one[by]: _merge(there.get(one[by]), one) for one in new}).values())
    return copy.deepcopy(new)


def _label(objects: list[Object], pairs: dict[str, str], templates: bool) -> None:
    for one in objects:
        places = [one["metadata"]]
        if templates and "template" in one.get("spec", {}):
            places.append(one["spec"]["template"]["metadata"])
        for metadata in places:
            metadata["labels"] = {**metadata.get("labels", {}), **pairs}


def _retag(objects: list[Object], images: list[dict[str, str]]) -> None:
    tags = {image["name"]: image["newTag"] for image in images}
    for one in objects:
        pod = one.get("spec", {}).get("template", {}).get("spec", {})
        for container in pod.get("containers", []):
            name = container["image"].partition(":")[0]
            if name in tags:
                container["image"] = f"{name}:{tags[name]}"
