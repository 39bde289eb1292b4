"""Message templates: what may be created, what a review finds, and whether a message fits its template. Pure."""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from panier_simulator.errors import GraphError

Json = dict[str, Any]
PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")
ADJACENT = re.compile(r"\}\}\s*\{\{")
UNFIT = re.compile(r"[\n\t]| {5,}")  # Meta takes none of these in the text of a parameter
LONGEST_BODY = 1024
MEDIA_FORMATS = {"IMAGE": "image", "VIDEO": "video", "DOCUMENT": "document", "LOCATION": "location"}
STATUSES = ("PENDING", "APPROVED", "REJECTED", "PAUSED", "DISABLED")


class Button(BaseModel):
    type: str
    text: Annotated[str, StringConstraints(min_length=1, max_length=25)] | None = None
    url: Annotated[str, StringConstraints(max_length=2000)] | None = None


class Component(BaseModel):
    type: Literal["HEADER", "BODY", "FOOTER", "BUTTONS", "CAROUSEL", "LIMITED_TIME_OFFER"]
    format: Literal["TEXT", "IMAGE", "VIDEO", "DOCUMENT", "LOCATION", "PRODUCT"] | None = None
    text: str | None = None
    example: Json | None = None
    buttons: list[Button] | None = Field(None, max_length=10)

    @field_validator("type", "format", mode="before")
    @classmethod
    def in_capitals(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value


class NewTemplate(BaseModel):
    """The request that creates one. Keys beyond these are kept as they are."""

    model_config = ConfigDict(extra="allow")

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,512}$")]
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(_[A-Z]{2})?$")]
    category: Literal["MARKETING", "UTILITY", "AUTHENTICATION"]
    parameter_format: Literal["POSITIONAL", "NAMED"] = "POSITIONAL"
    components: list[Component] = Field(min_length=1)

    @field_validator("category", "parameter_format", mode="before")
    @classmethod
    def in_capitals(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value


def judge_new(body: Any) -> Json:
    """The template that a request asks for, without id and status. Raises GraphError 100 as Meta does."""
    try:
        new = NewTemplate.model_validate(body)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise GraphError(100, f"Param {place}: {problem['msg']}") from None
    for component in new.components:
        _check_new(component, new.parameter_format)
    if new.category != "AUTHENTICATION" and not any(each.type == "BODY" for each in new.components):
        raise GraphError(100, "A template needs a component of type BODY")
    return {
        "name": new.name,
        "language": new.language,
        "category": new.category,
        "parameter_format": new.parameter_format,
        "components": [component.model_dump(exclude_none=True) for component in new.components],
    }


def _check_new(component: Component, parameter_format: str) -> None:
    text = component.text or ""
    names = PLACEHOLDER.findall(text)
    longest = {"HEADER": 60, "FOOTER": 60, "BODY": LONGEST_BODY}.get(component.type)
    if longest and len(text) > longest:
        raise GraphError(100, f"The text of {component.type} holds at most {longest} characters", subcode=2388040)
    if component.type == "BODY" and not text:
        raise GraphError(100, "The body of a template needs a text")
    if component.type == "FOOTER" and names:
        raise GraphError(100, "A footer has no parameters", subcode=2388073)
    if component.type == "HEADER" and len(names) > 1:
        raise GraphError(100, "A header has at most one parameter", subcode=2388047)
    if parameter_format == "POSITIONAL" and names != [str(place + 1) for place in range(len(names))]:
        raise GraphError(100, "Parameters are numbered from {{1}} on, in their order", subcode=2388019)
    if names and component.example is None:
        raise GraphError(100, f"{component.type} has parameters and needs an example", subcode=2388043)
    if component.type == "BODY" and (PLACEHOLDER.match(text.strip()) or text.strip().endswith("}}")):
        raise GraphError(100, "A body neither begins nor ends with a parameter", subcode=2388299)


def review(template: Json) -> str | None:
    """Why Meta's review rejects a template; None when it approves."""
    texts = (component.get("text", "") for component in template["components"])
    return "INVALID_FORMAT" if any(ADJACENT.search(text) for text in texts) else None


def status_update(template: Json, event: str, reason: str | None) -> Json:
    """The value of `message_template_status_update`."""
    value = {
        "event": event,
        "message_template_id": int(template["id"]),
        "message_template_name": template["name"],
        "message_template_language": template["language"],
        "reason": reason or "NONE",
        "message_template_category": template["category"],
    }
    if event == "REJECTED":
        value["rejection_info"] = {
            "reason": "The template does not keep the format of templates.",
            "recommendation": "Separate its parameters by words.",
        }
    return value


def check_message(template: Json, sent: Json) -> None:
    """Raises the GraphError of a message that its template does not allow; `sent` is `template` of the request."""
    match template["status"]:
        case "PAUSED":
            raise GraphError(132015, f"Template {template['name']} is paused for its low quality")
        case "DISABLED":
            raise GraphError(132016, f"Template {template['name']} is disabled")
        case "APPROVED":
            pass
        case _:
            raise missing(template["name"], template["language"])
    given = sent.get("components") or []
    by_type = {component["type"]: component.get("parameters") or [] for component in given}
    for component in template["components"]:
        match component["type"]:
            case "HEADER":
                _check_header(component, by_type.get("header", []), template["parameter_format"])
            case "BODY":
                _check_body(component, by_type.get("body", []), template["parameter_format"])
            case "BUTTONS":
                buttons = [component for component in given if component["type"] == "button"]
                _check_buttons(component.get("buttons") or [], buttons)


def missing(name: str, language: str) -> GraphError:
    return GraphError(132001, f"Template name ({name}) does not exist in {language}")


def _check_header(header: Json, parameters: list[Json], parameter_format: str) -> None:
    wanted = header.get("format", "TEXT")
    if wanted == "TEXT":
        _check_texts("header", header.get("text", ""), parameters, parameter_format)
        return
    kind = MEDIA_FORMATS.get(wanted, "product")
    received = parameters[0].get("type") if len(parameters) == 1 else None
    if received != kind:
        word = str(received or "unknown").upper()
        raise GraphError(132012, f"header: Format mismatch, expected {wanted}, received {word}")


def _check_body(body: Json, parameters: list[Json], parameter_format: str) -> None:
    text = body.get("text", "")
    _check_texts("body", text, parameters, parameter_format)
    values = iter(_shown(parameters))
    if len(PLACEHOLDER.sub(lambda _: next(values), text)) > LONGEST_BODY:
        raise GraphError(132005, f"body: the text with its parameters is longer than {LONGEST_BODY} characters")


def _check_texts(place: str, text: str, parameters: list[Json], parameter_format: str) -> None:
    names = PLACEHOLDER.findall(text)
    if len(parameters) != len(names):
        raise GraphError(
            132000,
            f"{place}: number of localizable_params ({len(parameters)}) does not match the expected number of"
            f" params ({len(names)})",
        )
    for parameter in parameters:
        kind = parameter.get("type")
        if kind not in ("text", "currency", "date_time"):
            raise GraphError(132012, f"{place}: parameter of type {kind} where a text is expected")
        if kind == "text" and (not isinstance(parameter.get("text"), str) or not parameter["text"]):
            raise GraphError(131008, f"{place}: a parameter of type text needs a text")
        if kind == "text" and UNFIT.search(parameter["text"]):
            raise GraphError(132018, "Param text cannot have new-line/tab characters or more than 4 consecutive spaces")
    given = {str(parameter.get("parameter_name")) for parameter in parameters}
    if parameter_format == "NAMED" and given != set(names):
        raise GraphError(132000, f"{place}: the parameters are {', '.join(sorted(names))}, by parameter_name")


def _shown(parameters: Iterable[Json]) -> Iterable[str]:
    for parameter in parameters:
        content = parameter.get(str(parameter.get("type")))
        yield str(content.get("fallback_value", "")) if isinstance(content, dict) else str(content)


def _check_buttons(buttons: list[Json], given: list[Json]) -> None:
    by_index = {str(component.get("index")): component for component in given}
    for index in by_index:
        if not index.isdigit() or int(index) >= len(buttons):
            raise GraphError(132018, f"buttons: the template has no button at index {index}")
    for place, button in enumerate(buttons):
        component = by_index.get(str(place), {})
        needed = button["type"].upper() == "URL" and bool(PLACEHOLDER.search(button.get("url") or ""))
        if needed and not component.get("parameters"):
            raise GraphError(131008, f"buttons: Button at index {place} of type Url requires a parameter")
        sub_type = str(component.get("sub_type", button["type"])).upper()
        if sub_type != button["type"].upper():
            raise GraphError(132012, f"buttons: Button at index {place} is of type {button['type']}, not {sub_type}")
