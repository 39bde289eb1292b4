"""Every acknowledged message is answered on the phone, once, and one service's answers keep `inbound`'s order. Pure."""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from panier_proof.evidence import Accepted, Evidence
from panier_proof.judge.carts import inbound_order
from panier_proof.judge.findings import Finding
from panier_proof.ledger import Ledger

# Answered once the stock has answered: what is asked meanwhile, and not about it, is answered before.
_LATER = "checkout:confirm"
# A message in doubt is sent again 20 s after it was claimed at the earliest, and a claim is good for 5 s.
_DOUBT_SECONDS = 15.0
# The door's answer and the record it stands for are not of one moment.
_EDGE_SECONDS = 1.0


def doubled_sends(evidence: Evidence) -> int:
    """Messages that reached the phone again: a sender in doubt sends rather than be silent."""
    counts = Counter(message.id for message in evidence.accepted)
    return sum(count - 1 for count in counts.values())


def check(ledger: Ledger, evidence: Evidence) -> Iterator[Finding]:
    arrived = {message.id for message in evidence.accepted}
    answered: dict[str, set[str]] = {}
    for request in evidence.requested:
        if request.answers and request.id in arrived:
            answered.setdefault(request.answers, set()).add(request.source)
    for page in ledger.customers:
        for act in page.acts:
            if act.acknowledged and act.wamid not in answered:
                yield Finding("answer", f"no answer to {act.action}", page.conversation)
            elif not act.acknowledged:
                yield Finding("quiet", f"the door never took {act.action}", page.conversation)
    for request in {request.id: request for request in evidence.requested}.values():
        if request.id not in arrived:
            yield Finding("answer", f"a message of {request.source} never came", request.conversation)
    yield from _to_whom(ledger, evidence)
    yield from _in_doubt(evidence)
    yield from _kept(ledger, evidence)
    yield from _said_twice(evidence)
    yield from _in_order(ledger, evidence)


def _to_whom(ledger: Ledger, evidence: Evidence) -> Iterator[Finding]:
    """A message came to the customer whose conversation it was asked for."""
    of = {page.id: page.conversation for page in ledger.customers}
    meant = {request.id: request.conversation for request in evidence.requested}
    for message in evidence.accepted:
        to = of.get(message.customer)
        if to is not None and meant.get(message.id, to) != to:
            yield Finding("answer", f"{message.id} came to somebody else", meant[message.id])


def _in_doubt(evidence: Evidence) -> Iterator[Finding]:
    """What came again came when nobody could know any better: not at once, and no status had told of the first."""
    conversations = {request.id: request.conversation for request in evidence.requested}
    sends: dict[str, list[Accepted]] = {}
    for message in evidence.accepted:
        sends.setdefault(message.id, []).append(message)
    for message_id, again in ((one, sent) for one, sent in sends.items() if len(sent) > 1):
        again.sort(key=lambda message: message.at)  # the first may have been read after the second
        told = float("inf")
        for before, message in pairwise(again):
            told = min(told, before.told if before.told is not None else told)
            if message.at - before.at < _DOUBT_SECONDS:
                why = f"was sent again after {message.at - before.at:.1f} s"
            elif told - before.at < _DOUBT_SECONDS - _EDGE_SECONDS:
                why = f"was sent again though a status had told of it {told - before.at:.1f} s after it came"
            else:
                continue
            yield Finding("doubt", f"{message_id} {why}", conversations.get(message_id, ""))


def _kept(ledger: Ledger, evidence: Evidence) -> Iterator[Finding]:
    """What the customer wrote and what the phone shows is what people of the shop can read, each once."""
    of = {page.id: page.conversation for page in ledger.customers}
    told: dict[str, set[str]] = {page.conversation: set() for page in ledger.customers}
    for message in evidence.accepted:
        if message.customer in of:
            told[of[message.customer]].add(message.id)
    for page in ledger.customers:
        told[page.conversation] |= {act.wamid for act in page.acts if act.acknowledged}
        kept = Counter(evidence.conversations.get(page.conversation, ()))
        for message_id in sorted(told[page.conversation] - kept.keys()):
            yield Finding("kept", f"the console does not have {message_id}", page.conversation)
        for message_id, times in kept.items():
            if times > 1:
                yield Finding("once", f"the console has {message_id} {times} times", page.conversation, times - 1)


def _said_twice(evidence: Evidence) -> Iterator[Finding]:
    """The same words asked for twice under different ids, as answers to one message."""
    said: Counter[tuple[str, str, str, str]] = Counter()
    for request in {request.id: request for request in evidence.requested}.values():
        if request.answers:
            said[request.conversation, request.source, request.answers, request.digest] += 1
    for (conversation, source, wamid, _), times in said.items():
        if times > 1:
            yield Finding("once", f"{source} answers {wamid} {times} times alike", conversation, times - 1)


def _in_order(ledger: Ledger, evidence: Evidence) -> Iterator[Finding]:
    """By the first arrival of each answer, of those that the message's owner gave itself."""
    places = inbound_order(evidence)
    owners = {message.wamid: message.owner for message in evidence.inbound}
    later = {act.wamid for page in ledger.customers for act in page.acts if act.press.startswith(_LATER)}
    requests = {request.id: request for request in evidence.requested}
    last: dict[tuple[str, str], int] = {}
    known: set[str] = set()
    for message in sorted(evidence.accepted, key=lambda message: message.seq):
        request = requests.get(message.id)
        if request is None or message.id in known or not request.answers or request.answers in later:
            continue
        known.add(message.id)
        if owners.get(request.answers) != request.source:
            continue  # passed on from service to service: two of them promise no order between them
        who = request.conversation, request.source
        place = places.get(request.conversation, {}).get(request.answers, -1)
        if place < last.get(who, -1):
            yield Finding("order_of_answers", f"{request.source} answers {request.answers} too late", who[0])
        last[who] = max(place, last.get(who, -1))
