"""The page of Meta's error codes and of the kinds of messages: what becomes of each, and the test that holds it."""

import collections
import json
import pathlib
import typing

from panier_common.contracts import inbound, outbound
from panier_sender.errors import OURS, PERMISSION, PERMISSIONS, REFUSED, RULES, WHAT_HAPPENS, Class, Rule
from panier_sender.failing import WORDS

SERVICES = pathlib.Path(__file__).resolve().parents[1] / "services"
SENDER_TESTS = SERVICES / "sender" / "tests"
INGEST_TESTS = SERVICES / "ingest" / "tests"
REFUSALS = "test_refusals.py"
TESTS = {
    Class.RETRY: "test_tried_again_for_as_long_as_it_takes",
    Class.RETRY_FEW: "test_tried_a_few_times_then_given_up_for_a_person",
    Class.SLOW_NUMBER: "test_the_number_waits_with_its_queue",
    Class.DELAY_CUSTOMER: "test_only_this_customer_waits",
    Class.PARK: "test_a_refused_token_is_told_when_it_lasts",
    Class.STOP_SHOP: "test_a_stopped_number_is_told_once_and_goes_on_when_a_person_says_so",
    Class.WINDOW_CLOSED: "test_its_template_goes_instead",
    Class.GIVE_UP: "test_given_up_and_told",
}
GOLDEN = "test_renders_as_reviewed"
RECORDED = "test_every_webhook_is_translated_as_reviewed"
SHOWN = 2  # recorded webhooks that the page names of each kind


def page(note: str) -> str:
    """`docs/meta-errors.md`. Raises SystemExit when a test that it names is gone."""
    refusals, render = _source(REFUSALS), _source("test_render.py")
    recorded = (INGEST_TESTS / "test_translate.py").read_text(encoding="utf-8")
    for test, source in [*((test, refusals) for test in TESTS.values()), (GOLDEN, render), (RECORDED, recorded)]:
        if f"def {test}(" not in source:
            raise SystemExit(f"docs/meta_errors.py names the test {test}, which does not exist")
    lines = ["# What the sender does about Meta's errors", "", f"<!-- {note} -->", ""]
    lines += [
        "Only `error.code` counts, as Meta asks; the HTTP status is looked at where there is none or an unknown one.",
        "What is given up becomes `MessageFailed` with the code, the reason and a sentence in the shop's language;",
        "with ✉ also a dead letter, whose replay sends the message again (`panier dead list`). `panier messages",
        "failed` lists all of them. Who asked for products that WhatsApp does not show is offered a person of the",
        "shop instead.",
        "",
        "| code | means | class | what happens | a person is told | test |",
        "|---|---|---|---|---|---|",
        *(_row(str(code), rule) for code, rule in sorted(RULES.items())),
        _row(f"{PERMISSIONS.start}–{PERMISSIONS.stop - 1}", PERMISSION),
        _row("any other", REFUSED),
        "",
        "Given up by the sender itself, without a code:",
        "",
        "| reason | when | a person is told |",
        "|---|---|---|",
        *(f"| `{reason}` | {when} | {WORDS('en', f'failed.{reason}')} |" for reason, when in OURS.items()),
        "",
        "## Kinds of messages to customers",
        "",
        f"Each is compared with a reviewed file by `{GOLDEN}` in `services/sender/tests/test_render.py`.",
        "",
        "| kind | golden files in `services/sender/tests/golden` |",
        "|---|---|",
        *(f"| {kind} | {', '.join(f'`{name}`' for name in _golden(kind))} |" for kind in _kinds()),
        "",
        "## Kinds of messages and updates from Meta",
        "",
        f"Each recorded webhook becomes what was reviewed: `{RECORDED}` in",
        "`services/ingest/tests/test_translate.py`, with `data/updates.json` beside it.",
        "",
        "| kind | recorded webhooks | among them |",
        "|---|---|---|",
        *_inbound_rows(),
        "",
    ]
    return "\n".join(lines)


def _row(code: str, rule: Rule) -> str:
    letter = "✉ " if rule.person or rule.kind in {Class.PARK, Class.STOP_SHOP} else ""
    said = WORDS("en", f"failed.{rule.reason}")
    happens = WHAT_HAPPENS[rule.kind]
    return f"| {code} | {rule.meaning} | {rule.kind.value} | {happens} | {letter}{said} | `{TESTS[rule.kind]}` |"


def _source(name: str) -> str:
    return (SENDER_TESTS / name).read_text(encoding="utf-8")


def _kinds() -> list[str]:
    """The kinds of the union; media by what it is."""
    union = typing.get_args(outbound.Message)[0]
    kinds = [kind.model_fields["kind"].default for kind in typing.get_args(union)]
    media = typing.get_args(outbound.MediaMessage.model_fields["media"].annotation)
    return sorted([*(kind for kind in kinds if kind != "media"), *media])


def _inbound_rows() -> list[str]:
    """The kinds of content, the states of messages of ours, and all else. Raises SystemExit for one never recorded."""
    found: dict[str, list[str]] = collections.defaultdict(list)
    for webhook, updates in json.loads((INGEST_TESTS / "data" / "updates.json").read_text("utf-8")).items():
        for kind in dict.fromkeys(map(_kind_of, updates)):
            found[kind].append(webhook)
    kinds = [kind.__struct_config__.tag for kind in typing.get_args(inbound.Content)]
    kinds += [*(f"media: {media}" for media in typing.get_args(outbound.MediaMessage.model_fields["media"].annotation))]
    missing = {str(kind) for kind in kinds if kind != "media"} - found.keys()
    if missing:
        raise SystemExit(f"no recorded webhook has a message of the kinds {sorted(missing)}")
    return [
        f"| {kind} | {len(names)} | {', '.join(f'`{name}`' for name in names[:SHOWN])} |"
        for kind, names in sorted(found.items())
    ]


def _kind_of(update: dict[str, typing.Any]) -> str:
    match update["event"]:
        case "MessageReceived" if update["content"]["kind"] == "media":
            return f"media: {update['content']['media']}"
        case "MessageReceived":
            return str(update["content"]["kind"])
        case "DeliveryChanged":
            return f"status: {update['status']}"
        case _:
            return f"field: {update['field']}"


def _golden(kind: str) -> list[str]:
    """The golden files of a kind: its name, or its name and what is special about that one."""
    names = sorted(path.stem for path in (SENDER_TESTS / "golden").glob("*.json"))
    others = [other for other in _kinds() if other.startswith(f"{kind}_")]
    found = [
        name
        for name in names
        if (name == kind or name.startswith(f"{kind}_"))
        and not any(name == other or name.startswith(f"{other}_") for other in others)
    ]
    if not found:
        raise SystemExit(f"the kind {kind} has no golden file")
    return [f"{name}.json" for name in found]
