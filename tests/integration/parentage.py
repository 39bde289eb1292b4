"""Who is whose parent and what links: the rule that every span of the services keeps, and what a trace tells. Pure."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from panier_common import conventions
from spans import Span

OUTBOUND = "process panier.outbound.v1"
STATUS = "send panier.delivery.v1"
CALL = "POST"
_TIMER = "process timer"


def faults(spans: Collection[Span]) -> list[str]:
    """What is wrong with these: whole traces, and those that their statuses tell of. Nothing, when the rule is kept."""
    by_id = {span.id: span for span in spans}
    found = [f"{_shown(span)} {wrong}" for span in spans for wrong in _of_one(span, by_id)]
    roots: defaultdict[str, list[str]] = defaultdict(list)
    for span in spans:
        roots[span.trace] += [] if span.parent else [_shown(span)]
    return found + [f"{len(some)} roots in one trace: {sorted(some)}" for some in roots.values() if len(some) != 1]


def _of_one(span: Span, by_id: Mapping[str, Span]) -> list[str]:
    links = _of_links(span, by_id)
    if span.kind == "SERVER":
        return ["has a parent", *links] if span.parent else links
    if not span.parent:
        return ["has no parent", *links]
    parent = by_id.get(span.parent)
    if parent is None:
        return ["has a parent that was not received", *links]
    if parent.trace != span.trace:
        return [f"is in another trace than {_shown(parent)}, its parent", *links]
    return links if _may(span, parent) else [f"is the child of {_shown(parent)}", *links]


def _may(span: Span, parent: Span) -> bool:
    """Whether this may be its parent: of a record read, who sent it; of all else, what the same service did."""
    if span.kind == "CONSUMER" and span.name != _TIMER:
        same = (conventions.DESTINATION, conventions.EVENT_TYPE)
        return parent.kind == "PRODUCER" and all(span.attributes[name] == parent.attributes[name] for name in same)
    if span.service != parent.service:
        return False
    if span.kind == "PRODUCER":
        return parent.kind in ("SERVER", "CONSUMER") or parent.name == CALL
    if span.name == CALL:
        return parent.name == OUTBOUND
    return parent.kind == "CONSUMER" or (span.name == _TIMER and parent.name == CALL)  # one that was refused for now


def _of_links(span: Span, by_id: Mapping[str, Span]) -> list[str]:
    """A status links to the message that it tells of, in a trace of its own; nothing else links."""
    if span.name != STATUS:
        return ["links to something"] if span.links else []
    told = [by_id.get(link) for link in span.links]
    if [one.name if one else None for one in told] != [OUTBOUND]:
        return [f"links to {[_shown(one) if one else 'what was not received' for one in told]}, not to its message"]
    return [] if all(one and one.trace != span.trace for one in told) else ["is in the trace of its message"]


def traces_of(spans: Iterable[Span], hashes: Collection[str]) -> list[Span]:
    """The whole traces of what conversations of these hashes did, of what repeats it, and of what is told about it."""
    traces: defaultdict[str, list[Span]] = defaultdict(list)
    for span in spans:
        traces[span.trace].append(span)
    own = {s.trace for some in traces.values() for s in some if s.attributes.get(conventions.CONVERSATION) in hashes}
    ids = {span.id for trace in own for span in traces[trace]}
    sent = {_message(span) for trace in own for span in traces[trace]} - {None}
    about = {s.trace for some in traces.values() for s in some if ids & set(s.links) or _message(s) in sent}
    return [span for trace in own | about for span in traces[trace]]


def _message(span: Span) -> object:
    return span.attributes.get(conventions.MESSAGE_ID)


def steps(spans: Collection[Span]) -> set[str]:
    """Each kind of step that these spans took: `parent > child`, each with its service; `child ~ what it links to`."""
    by_id = {span.id: span for span in spans}
    parents = {f"{_shown(by_id[s.parent])} > {_shown(s)}" for s in spans if s.parent in by_id}
    return parents | {f"{_shown(s)} ~ {_shown(by_id[link])}" for s in spans for link in s.links if link in by_id}


def way(span: Span, spans: Collection[Span]) -> list[str]:
    """From the root down to this one: what each step was, with its service."""
    by_id = {one.id: one for one in spans}
    found: list[str] = []
    step: Span | None = span
    while step is not None:
        found.append(_shown(step))
        step = by_id.get(step.parent)
    return found[::-1]


def _shown(span: Span) -> str:
    """`checkout: send order.paid`: without what all names have in common."""
    event = str(span.attributes.get(conventions.EVENT_TYPE, ""))
    name = f"{span.name.split()[0]} {event}" if event else span.name
    return f"{span.service.removeprefix('panier-')}: {name.replace('panier.', '').removesuffix('.v1')}"
