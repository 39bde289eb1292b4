"""Writes the schemas of CloudNativePG's kinds beside this file: `python cnpg.py`.

No package registry has its definitions, so these are our own, after the API reference that CloudNativePG publishes:
the fields that our manifests use and their neighbours. Narrower than the real ones: a field that is missing here may
be lawful, one that is here is.
"""

import json
import pathlib
from typing import Any

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer"}
TEXTS: Schema = {"type": "array", "items": TEXT}
QUANTITY: Schema = {"type": ["integer", "string"]}
TEXT_BY_NAME: Schema = {"type": "object", "additionalProperties": TEXT}


def struct(*required: str, **fields: Schema) -> Schema:
    made: Schema = {"type": "object", "properties": fields, "additionalProperties": False}
    return made | ({"required": list(required)} if required else {})


def of(*words: str) -> Schema:
    return {"type": "string", "enum": list(words)}


def several(item: Schema) -> Schema:
    return {"type": "array", "items": item}


NAME = struct("name", name=TEXT)
KEY = struct("name", "key", name=TEXT, key=TEXT)
STORAGE = struct(size=TEXT, storageClass=TEXT, resizeInUseVolumes=FLAG)
AMOUNTS: Schema = {"type": "object", "additionalProperties": QUANTITY}
REFERENCES = struct(secretRefs=several(KEY), configMapRefs=several(KEY))
METADATA = struct(labels=TEXT_BY_NAME, annotations=TEXT_BY_NAME)

INITDB = struct(
    database=TEXT,
    owner=TEXT,
    secret=NAME,
    dataChecksums=FLAG,
    encoding=TEXT,
    locale=TEXT,
    localeProvider=TEXT,
    localeCollate=TEXT,
    localeCType=TEXT,
    postInitSQL=TEXTS,
    postInitApplicationSQL=TEXTS,
    postInitTemplateSQL=TEXTS,
    postInitSQLRefs=REFERENCES,
    postInitApplicationSQLRefs=REFERENCES,
    postInitTemplateSQLRefs=REFERENCES,
)
RECOVERY = struct(
    source=TEXT,
    database=TEXT,
    owner=TEXT,
    secret=NAME,
    recoveryTarget=struct(targetTime=TEXT, targetLSN=TEXT, backupID=TEXT, exclusive=FLAG),
)
SYNCHRONOUS = struct(
    "method", "number", method=of("any", "first"), number=COUNT, dataDurability=of("required", "preferred")
)
POSTGRESQL = struct(parameters=TEXT_BY_NAME, pg_hba=TEXTS, synchronous=SYNCHRONOUS, shared_preload_libraries=TEXTS)
ROLE = struct(
    "name",
    name=TEXT,
    comment=TEXT,
    ensure=of("present", "absent"),
    passwordSecret=NAME,
    disablePassword=FLAG,
    login=FLAG,
    superuser=FLAG,
    createdb=FLAG,
    createrole=FLAG,
    inherit=FLAG,
    replication=FLAG,
    bypassrls=FLAG,
    inRoles=TEXTS,
    connectionLimit=COUNT,
)
AFFINITY = struct(
    enablePodAntiAffinity=FLAG,
    podAntiAffinityType=of("preferred", "required"),
    topologyKey=TEXT,
    nodeSelector=TEXT_BY_NAME,
)
PLUGIN = struct("name", name=TEXT, enabled=FLAG, isWALArchiver=FLAG, parameters=TEXT_BY_NAME)
CLUSTER = struct(
    "instances",
    description=TEXT,
    inheritedMetadata=METADATA,
    imageName=TEXT,
    instances={"type": "integer", "minimum": 1},
    storage=STORAGE,
    walStorage=STORAGE,
    resources=struct(requests=AMOUNTS, limits=AMOUNTS),
    affinity=AFFINITY,
    postgresql=POSTGRESQL,
    bootstrap=struct(initdb=INITDB, recovery=RECOVERY),
    externalClusters=several(struct("name", name=TEXT, plugin=PLUGIN)),
    managed=struct(roles=several(ROLE)),
    plugins=several(PLUGIN),
    monitoring=struct(
        disableDefaultQueries=FLAG, customQueriesConfigMap=several(KEY), customQueriesSecret=several(KEY)
    ),
    superuserSecret=NAME,
    enableSuperuserAccess=FLAG,
    priorityClassName=TEXT,
    primaryUpdateStrategy=of("unsupervised", "supervised"),
    primaryUpdateMethod=of("switchover", "restart"),
    enablePDB=FLAG,
    logLevel=of("error", "warning", "info", "debug", "trace"),
)
BACKUP = struct(
    "schedule",
    "cluster",
    schedule=TEXT,
    cluster=NAME,
    suspend=FLAG,
    immediate=FLAG,
    backupOwnerReference=of("none", "self", "cluster"),
    target=of("primary", "prefer-standby"),
    method=of("barmanObjectStore", "volumeSnapshot", "plugin"),
    pluginConfiguration=struct("name", name=TEXT, parameters=TEXT_BY_NAME),
    online=FLAG,
)


def kind(spec: Schema) -> Schema:
    return struct("spec", apiVersion=TEXT, kind=TEXT, metadata={"type": "object"}, spec=spec)


if __name__ == "__main__":
    for name, spec in {"cluster": CLUSTER, "scheduledbackup": BACKUP}.items():
        text = json.dumps(kind(spec), separators=(",", ":"), sort_keys=True) + "\n"
        pathlib.Path(__file__).with_name(f"{name}-postgresql.cnpg.io-v1.json").write_text(text, encoding="utf-8")
