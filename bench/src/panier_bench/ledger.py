"""What a storm asked for, what WhatsApp took, and what the services were told: compared. Pure.

A message is right when WhatsApp accepted it once and the services were told so, or when it failed with a code
that WhatsApp gave for this very message. Everything else is named.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from panier_bench import figures

Json = dict[str, Any]
PAIR_LIMIT, THROUGHPUT = "131056", "130429"
WINDOW_CLOSED = 131047
BEGUN = "calls begun in a second"
HEAPED_SHARE = 0.001  # of the calls may come together that began apart: the machine brought them late
HEAPED_LEAST = 3  # and so many however few the calls
STOPPED_SHARE = 0.05  # of the calls a busy machine may stop between their count and themselves


@dataclass(frozen=True)
class Requested:
    """One message of the storm: the `place` it has among all, and when it was asked for (seconds since 1970).

    With `template` it may not fail because the window is closed.
    """

    number: str
    customer: str
    place: int
    at: float
    template: bool = False


@dataclass
class Told:
    """What came on `sent` about one message."""

    sent: int = 0
    failed: list[int] = field(default_factory=list)  # codes, 0 where the sender gave it up itself
    reasons: list[str] = field(default_factory=list)


@dataclass
class Ledger:
    """By message id. Messages of others are not in it."""

    requested: dict[str, Requested] = field(default_factory=dict)
    told: dict[str, Told] = field(default_factory=dict)
    published_again: int = 0
    _events: set[str] = field(default_factory=set)

    def tell(self, event_id: str, message_id: str, failed_with: int | None, reason: str = "") -> None:
        """`failed_with` is None for a message that was sent, `reason` the sender's word for why not.

        The same event again is dropped, as services drop it.
        """
        if message_id not in self.requested:
            return
        if event_id in self._events:
            self.published_again += 1
            return
        self._events.add(event_id)
        told = self.told.setdefault(message_id, Told())
        if failed_with is None:
            told.sent += 1
        else:
            told.failed.append(failed_with)
            told.reasons.append(reason)

    @property
    def failed(self) -> set[str]:
        """Messages that were told as failed, sent before or not."""
        return {message_id for message_id, told in self.told.items() if told.failed}

    @property
    def open(self) -> int:
        """Messages of which nothing was told yet."""
        return len(self.requested) - len(self.told)


class Begun(NamedTuple):
    """The times of each number's calls, in order, and how many the machine stopped between their count and the call."""

    calls: Mapping[str, Sequence[float]]
    apart: int = 0


def judge(
    ledger: Ledger,
    accepted: Iterable[Json],
    refusals: Iterable[Json],
    counts: Json,
    faults: Mapping[str, int],
    begun: Begun,
    limit: int,
) -> Json:
    """The report: counts of everything, `wrong` with the first few ids of what is not right.

    `begun` has the times at which the senders began the calls of each number, of which no second may have more than
    `limit`. What arrived in a second is told beside it and not judged: a busy machine brings and reads in heaps, of
    which WhatsApp refuses the last few (130429). Many of them are the sender's: it held calls back that had begun.
    """
    takes: dict[str, list[Json]] = defaultdict(list)
    for message in accepted:
        if message["callback"] in ledger.requested:
            takes[message["callback"]].append(message)
    given: dict[str, set[int]] = defaultdict(set)
    for refusal in refusals:
        given[refusal["callback"]].add(refusal["code"])
    for message_id, messages in takes.items():
        given[message_id].update(message["code"] for message in messages if message["code"] is not None)

    wrong: dict[str, list[str]] = defaultdict(list)
    for message_id, one in ledger.requested.items():
        told = ledger.told.get(message_id, Told())
        for what in _wrong(told, takes.get(message_id, ()), given[message_id]):
            wrong[what].append(message_id)
        if one.template and WINDOW_CLOSED in told.failed:
            wrong["failed for its window, with a template"].append(message_id)
    wrong["out of order"] = out_of_order(ledger, takes)
    doubled = [message_id for message_id, messages in takes.items() if len(messages) > 1]
    refused = counts["refused"]
    calls = sum(map(len, begun.calls.values()))
    most_begun = max(map(most_in_a_second, begun.calls.values()), default=0)
    if calls < sum(map(len, takes.values())):
        wrong["accepted and not noted as begun"] = [f"{calls} calls"]
    if begun.apart > STOPPED_SHARE * calls:
        wrong["called long after it was counted"] = [f"{begun.apart} of {calls} calls"]
    allowed = {PAIR_LIMIT: 0, THROUGHPUT: max(HEAPED_SHARE * calls, HEAPED_LEAST)}
    broken = {code: refused[code] for code, most in allowed.items() if refused.get(code, 0) > most}
    if most_begun > limit:
        broken[BEGUN] = most_begun
    waits = [takes[key][0]["at"] - one.at for key, one in ledger.requested.items() if key in takes]
    return {
        "requested": len(ledger.requested),
        "accepted": len(takes),
        "sent_twice": len(doubled),
        "published_again": ledger.published_again,
        "failed_at_whatsapp": sum(any(take["code"] is not None for take in each) for each in takes.values()),
        "failed_by_code": dict(Counter(str(code) for told in ledger.told.values() for code in told.failed)),
        "not_accepted": _not_accepted(ledger, takes),
        "refused_by_rule": refused,
        "injected_refusals": counts["injected"],
        "faults": dict(faults),
        "calls_begun": calls,
        "called_late": begun.apart,
        "most_begun_in_a_second": most_begun,
        "most_arrived_in_a_second": max((each["most_in_a_second"] for each in counts["numbers"].values()), default=0),
        "waited": figures.latency(waits) if waits else {},
        "wrong": {what: {"count": len(ids), "some": ids[:5]} for what, ids in wrong.items() if ids},
        "limits_broken": broken,
    }


def is_right(report: Json) -> bool:
    return not report["wrong"] and not report["limits_broken"]


def most_in_a_second(times: Sequence[float]) -> int:
    """The most of these times, in order, that lie within one second, wherever it begins."""
    most = first = 0
    for n, at in enumerate(times):
        while times[first] <= at - 1.0:
            first += 1
        most = max(most, n - first + 1)
    return most


def _not_accepted(ledger: Ledger, takes: Mapping[str, Sequence[Json]]) -> Json:
    """Messages that WhatsApp never took: refused by it, and given up by the sender itself, each by its reason."""
    refused: Counter[str] = Counter()
    given_up: Counter[str] = Counter()
    for message_id, told in ledger.told.items():
        if message_id not in takes and told.failed:
            (refused if told.failed[-1] else given_up)[told.reasons[-1]] += 1
    return {"refused": dict(refused), "given_up": dict(given_up)}


def out_of_order(ledger: Ledger, takes: Mapping[str, list[Json]]) -> list[str]:
    """Messages first accepted after a later one of the same customer."""
    firsts = sorted((messages[0]["seq"], message_id) for message_id, messages in takes.items())
    last: dict[tuple[str, str], int] = {}
    late = []
    for _, message_id in firsts:
        one = ledger.requested[message_id]
        pair = (one.number, one.customer)
        if one.place < last.get(pair, -1):
            late.append(message_id)
        else:
            last[pair] = one.place
    return late


def _wrong(told: Told, takes: Sequence[Json], given: set[int]) -> Iterable[str]:
    taken = bool(takes)
    if taken and all(message["code"] is not None for message in takes) and not told.failed:
        yield "failed and nobody told"
    if not taken and not told.failed:
        yield "lost"
    if taken and not told.sent and not told.failed:
        yield "accepted and nobody told"
    if not taken and told.sent:
        yield "told as sent and never accepted"
    if told.sent > 1 or len(told.failed) > 1:
        yield "told twice"
    if any(code not in given for code in told.failed):
        yield "failed with a code that WhatsApp did not give"
