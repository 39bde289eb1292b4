"""The settings of topics that exist: how they differ from the table's, and setting them, one by one.

Only what the table names is changed (IncrementalAlterConfigs); what somebody else has set beside it stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int8, Int16, Int32, Schema, String

_TOPIC, _SET = 2, 0
_NOT_ALLOWED = 29


@dataclass(frozen=True)
class Changed:
    """One setting; `was` is None where the broker does not know it."""

    was: str | None
    now: str


Changes = dict[str, dict[str, Changed]]
"""By topic and setting."""


@dataclass(frozen=True)
class Applied:
    """Topics made, settings changed, and topics whose settings may not be seen."""

    made: list[str]
    changed: Changes
    hidden: list[str]


class _Response(Response):
    API_KEY = 44
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "responses",
            Array(
                ("error_code", Int16),
                ("error_message", String("utf-8")),
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
            ),
        ),
    )


class _Struct(RequestStruct):
    API_KEY = 44
    API_VERSION = 0
    RESPONSE_TYPE = _Response
    SCHEMA = Schema(
        (
            "resources",
            Array(
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
                (
                    "configs",
                    Array(("name", String("utf-8")), ("config_operation", Int8), ("value", String("utf-8"))),
                ),
            ),
        ),
        ("validate_only", Boolean),
    )


class _IncrementalAlterConfigs(Request[_Struct]):
    """aiokafka knows only AlterConfigs, which forgets every setting that it is not told of."""

    API_KEY = 44

    def __init__(self, changes: Changes) -> None:
        self._resources = [
            (_TOPIC, topic, [(name, _SET, changed.now) for name, changed in settings.items()])
            for topic, settings in changes.items()
        ]

    def build(self, request_struct_class: type[_Struct]) -> _Struct:
        return request_struct_class(self._resources, False)


async def differing(admin: AIOKafkaAdminClient, wanted: Mapping[str, Mapping[str, str]]) -> tuple[Changes, list[str]]:
    """What is not as wanted, and the topics whose settings this user may not see."""
    changes: Changes = {}
    hidden = []
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in wanted]
    for answer in await admin.describe_configs(asked) if asked else ():
        resources: Any = answer.resources  # type: ignore[attr-defined]
        for code, message, _, topic, entries in resources:
            if code == _NOT_ALLOWED:
                hidden.append(topic)
                continue
            if code:
                raise KafkaError(f"the settings of {topic} cannot be read: {message}")
            present = {entry[0]: entry[1] for entry in entries}
            differ = {n: Changed(present.get(n), v) for n, v in wanted[topic].items() if present.get(n) != v}
            if differ:
                changes[topic] = differ
    return changes, hidden


async def alter(admin: AIOKafkaAdminClient, changes: Changes) -> None:
    """Raises KafkaError with the broker's own words, for the first topic that it refuses."""
    answer: Any = await admin._send_request(_IncrementalAlterConfigs(changes))
    for code, message, _, topic in answer.responses:
        if code:
            raise KafkaError(f"{topic} could not be changed: {message or f'error {code}'}")
