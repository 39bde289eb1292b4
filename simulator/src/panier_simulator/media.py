"""Files that WhatsApp takes: their types, their greatest sizes, and how long an id of one is good. Pure."""

from typing import Any

from panier_simulator.errors import GraphError

Json = dict[str, Any]
MB = 1024 * 1024
DAY = 24 * 3600.0
UPLOADED_SECONDS = 30 * DAY  # a file that the shop uploaded
INBOUND_SECONDS = 7 * DAY  # a file that a customer sent
ADDRESS_SECONDS = 300.0  # the address that a look at an id answers

TYPES: dict[str, tuple[int, frozenset[str]]] = {
    "image": (5 * MB, frozenset({"image/jpeg", "image/png"})),
    "sticker": (500 * 1024, frozenset({"image/webp"})),
    "audio": (16 * MB, frozenset({"audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"})),
    "video": (16 * MB, frozenset({"video/mp4", "video/3gpp"})),
    "document": (
        100 * MB,
        frozenset(
            {
                "text/plain",
                "application/pdf",
                "application/msword",
                "application/vnd.ms-excel",
                "application/vnd.ms-powerpoint",
                "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
                "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
                "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            }
        ),
    ),
}
MOST_BYTES = 100 * MB


def check_upload(mime_type: str, size: int) -> None:
    """Raises the GraphError of a type that is not taken or a file that is too large for its type."""
    for most, types in TYPES.values():
        if mime_type in types:
            if size > most:
                raise GraphError(131053, f"A file of type {mime_type} holds at most {most} bytes, not {size}")
            if not size:
                raise GraphError(131053, "The file is empty")
            return
    known = ", ".join(sorted(type_ for _, types in TYPES.values() for type_ in types))
    raise GraphError(100, f"Param file must be a file with one of the following types: {known}")


def parts(body: Json) -> list[tuple[str, Json]]:
    """Each file that a message shows, with its kind: its own, its header's, those of its template's headers."""
    found: list[tuple[str, Json]] = []
    header = body.get("interactive", {}).get("header") or {}
    components = body.get("template", {}).get("components") or []
    parameters = [each for component in components for each in component.get("parameters") or []]
    for part in (body, header, *parameters):
        kind = part.get("type")
        if isinstance(kind, str) and kind in TYPES and isinstance(part.get(kind), dict):
            found.append((kind, part[kind]))
    return found


def check_use(kind: str, media_id: str, stored: tuple[str, float, bool] | None, now: float) -> None:
    """Raises the GraphError of an id that names no file of ours, an old one, or one of another kind."""
    if stored is None or stored[2] or now - stored[1] > UPLOADED_SECONDS:
        raise GraphError(100, f"Param {kind}['id'] is not a valid whatsapp business account media ID: {media_id}")
    _, types = TYPES[kind]
    if kind != "document" and stored[0] not in types:
        raise GraphError(131053, f"The file {media_id} is of type {stored[0]}, which cannot be sent as {kind}")
