"""What befell the pods of a namespace, event by event: so that a moment with one too few is not overlooked."""

import contextlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

from control_plane import Cluster

Json = dict[str, Any]


def service_of(pod: Json) -> str | None:
    labels = pod["metadata"]["labels"]
    is_ours = labels.get("app.kubernetes.io/component") == "service"
    return str(labels["app.kubernetes.io/name"]) if is_ours else None


def is_ready(pod: Json) -> bool:
    conditions = pod["status"].get("conditions", [])
    is_told = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return is_told and "deletionTimestamp" not in pod["metadata"]


class Watched:
    """Of each service, over all moments of the watch: `least` that were ready, `most` that were wanted, and
    `at_once`, which counts those as well that are on their way out.
    """

    def __init__(self) -> None:
        self._pods: dict[str, Json] = {}
        self.least: dict[str, int] = {}
        self.most: dict[str, int] = {}
        self.at_once: dict[str, int] = {}
        self.events = 0

    def see(self, event: Json) -> None:
        pod = event["object"]
        self.events += 1
        if event["type"] == "DELETED":
            self._pods.pop(pod["metadata"]["name"], None)
        else:
            self._pods[pod["metadata"]["name"]] = pod
        self.note()

    def begin(self, pods: list[Json]) -> None:
        self._pods = {pod["metadata"]["name"]: pod for pod in pods}
        self.note()

    def note(self) -> None:
        ours = [(service, pod) for pod in self._pods.values() if (service := service_of(pod))]
        there = Counter(service for service, _ in ours)
        wanted = Counter(service for service, pod in ours if "deletionTimestamp" not in pod["metadata"])
        ready = Counter(service for service, pod in ours if is_ready(pod))
        for service in {*there, *self.least}:
            self.least[service] = min(ready[service], self.least.get(service, ready[service]))
            self.most[service] = max(wanted[service], self.most.get(service, 0))
            self.at_once[service] = max(there[service], self.at_once.get(service, 0))


@contextlib.contextmanager
def watching(cluster: Cluster, namespace: str) -> Iterator[Watched]:
    path = f"/api/v1/namespaces/{namespace}/pods"
    watched, listed = Watched(), cluster.read(path)
    watched.begin(listed["items"])
    answer = cluster.open(f"{path}?watch=true&resourceVersion={listed['metadata']['resourceVersion']}", 600)

    def follow() -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):  # closed at the end, in the middle of a line
            for line in answer:
                watched.see(json.loads(line))

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield watched
    finally:
        answer.fp.raw._sock.shutdown(2)  # a read that is under way ends only so
        thread.join(10)
        answer.close()
