"""What goes wrong on purpose: shares of calls and webhooks that fail, and which ones. Pure but for its counters.

Whether a fault strikes is a hash of the seed, the fault and what it would strike (a number, a recipient, the
how-manyth call): the same seed and the same calls of each pair give the same faults, in whatever order
different pairs come, and switching one fault on leaves the others where they were.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from panier_simulator.errors import ERRORS, GraphError

Share = Annotated[float, Field(ge=0, le=1)]
REFUSALS = (131000, 131016, 2, 133004)  # Meta's own trouble, passing
FAILURES = (131026, 131049, 130472)  # what a message can end with after it was sent
UNKNOWN_STATUS = "failed"


class Faults(BaseModel):
    """Shares are from 0 (never) to 1 (always)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = 0
    duplicated: Share = Field(0, description="Webhooks that are posted twice")
    delayed: Share = Field(0, description="Webhooks that are late, those behind them as well")
    reordered: Share = Field(0, description="Webhooks that are overtaken by those behind them")
    missing: Share = Field(0, description="Statuses that are never posted (never `failed`)")
    early: Share = Field(0, description="Statuses `sent` that are posted before the call is answered")
    late: Share = Field(0, description="Statuses that come `late_seconds` after their time")
    failed: Share = Field(0, description="Messages with a status `failed` after `sent`")
    lost_answer: Share = Field(0, description="Calls whose message is accepted and that are never answered")
    broken_answer: Share = Field(0, description="Calls whose message is accepted, answered 500 without a body")
    refused: Share = Field(0, description="Calls refused by Meta's own passing trouble (131000, 131016, 2, 133004)")
    unauthorized: Share = Field(0, description="Calls refused as if the token had expired (190, 401)")
    throttled: Share = Field(0, description="Calls refused by a throughput limit that was not reached (130429)")
    pair_limited: Share = Field(0, description="Calls refused by a pair limit that was not reached (131056)")
    slow: Share = Field(0, description="Calls that are answered up to `slow_seconds` later")
    delay_seconds: float = Field(2.0, ge=0, le=86_400, description="Most that a webhook is delayed or reordered by")
    late_seconds: float = Field(30.0, ge=0, le=604_800, description="How late a late status is")
    slow_seconds: float = Field(1.0, ge=0, le=60, description="Most that a slow answer takes")
    lost_answer_seconds: float = Field(30.0, ge=0, le=600, description="After this a lost answer's connection ends")
    batch_updates: int = Field(1, ge=1, le=1000, description="Updates in one webhook at most; 1 posts each alone")
    batch_seconds: float = Field(0.05, ge=0, le=60, description="How long updates are collected for one webhook")


NONE = Faults()
ALL = Faults(
    duplicated=0.05,
    delayed=0.05,
    reordered=0.05,
    missing=0.02,
    early=0.05,
    late=0.01,
    failed=0.01,
    lost_answer=0.005,
    broken_answer=0.005,
    refused=0.01,
    unauthorized=0.0005,
    throttled=0.001,
    pair_limited=0.002,
    slow=0.02,
    batch_updates=100,
)
PRESETS = {"none": NONE, "all": ALL}


def read_faults(text: str) -> Faults:
    """From a setting: a preset, changes to it, or both: `all,seed=7,missing=0`. Raises ValueError."""
    chosen: dict[str, Any] = {}
    for word in filter(None, (part.strip() for part in text.split(","))):
        name, is_change, value = word.partition("=")
        if is_change:
            chosen[name.strip()] = value.strip()
        elif name in PRESETS:
            chosen = PRESETS[name].model_dump()
        else:
            raise ValueError(f"{name!r} is neither one of {', '.join(PRESETS)} nor <fault>=<share>")
    return Faults.model_validate(chosen)


class Scripted(BaseModel):
    """What the next calls meet, whatever the shares say; only those that fit `number` and `recipient`, if given."""

    model_config = ConfigDict(extra="forbid")

    code: int | None = Field(None, description="Refuse with this code of Meta's")
    failed: int | None = Field(None, description="Accept, then fail with this code by a status")
    answer: Literal["lost", "broken", "slow", "early"] | None = None
    number: str | None = None
    recipient: str | None = Field(None, description="As the call names it: a phone number's digits or a user id")
    times: int = Field(1, ge=1, le=1_000_000)

    @model_validator(mode="after")
    def one_known_fault(self) -> "Scripted":
        if sum(each is not None for each in (self.code, self.failed, self.answer)) != 1:
            raise ValueError("Give one of code, failed and answer")
        code = self.code if self.code is not None else self.failed
        if code is not None and code not in ERRORS:
            raise ValueError(f"{code} is not among the codes that the simulator knows")
        return self

    def fits(self, number: str, recipient: str) -> bool:
        return self.number in (None, number) and self.recipient in (None, recipient)


@dataclass(frozen=True)
class CallPlan:
    """What happens to one call. `key` names it, for its webhooks."""

    key: str
    refusal: int | None = None
    failed: int | None = None
    lost_answer: bool = False
    broken_answer: bool = False
    early: bool = False
    slow_seconds: float = 0.0


@dataclass(frozen=True)
class Posting:
    """One copy of a webhook: when it is due, and whether those behind it may overtake it."""

    after_seconds: float = 0.0
    loose: bool = False


AT_ONCE = (Posting(),)


class Injector:
    """Decides by the present `faults`, counts what it did, and holds what was scripted."""

    def __init__(self, faults: Faults = NONE) -> None:
        self.counts: Counter[str] = Counter()
        self.scripted: list[Scripted] = []
        self._calls: Counter[tuple[str, str]] = Counter()
        self.faults = faults

    @property
    def faults(self) -> Faults:
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        """From here on the calls of every pair are counted anew."""
        self._faults = faults
        self._calls.clear()
        names = (name for name, field in Faults.model_fields.items() if field.annotation is float and field.metadata)
        shares = {name: getattr(faults, name) for name in names if not name.endswith("_seconds")}
        self._shares = {name: share for name, share in shares.items() if share > 0}

    def call(self, number: str, recipient: str) -> CallPlan:
        """The fate of the next call of this pair."""
        for script in self.scripted:
            if script.fits(number, recipient):
                return self._by_script(script, number, recipient)
        if not self._shares:
            return CallPlan("")
        self._calls[number, recipient] += 1
        key = f"{number}/{recipient}/{self._calls[number, recipient]}"
        strikes = self._strikes
        refusal = None
        if strikes("refused", key):
            refusal = self._pick("code", key, REFUSALS)
        elif strikes("unauthorized", key):
            refusal = 190
        elif strikes("throttled", key):
            refusal = 130429
        elif strikes("pair_limited", key):
            refusal = 131056
        if refusal is not None:
            return CallPlan(key, refusal)
        lost = strikes("lost_answer", key)
        return CallPlan(
            key,
            failed=self._pick("failure", key, FAILURES) if strikes("failed", key) else None,
            lost_answer=lost,
            broken_answer=not lost and strikes("broken_answer", key),
            early=strikes("early", key),
            slow_seconds=self._faults.slow_seconds * self._number("pace", key) if strikes("slow", key) else 0.0,
        )

    def event(self, number: str, person: str) -> str:
        """The key of what a person does next with a number."""
        if not self._shares:
            return ""
        self._calls[number, f"in:{person}"] += 1
        return f"{number}/in:{person}/{self._calls[number, f'in:{person}']}"

    def webhook(self, key: str, status: str | None) -> Sequence[Posting]:
        """When the copies of a webhook are posted; none at all for a missing status."""
        if not self._shares:
            return AT_ONCE
        key, faults = f"{key}/{status}", self._faults
        if status not in (None, UNKNOWN_STATUS) and self._strikes("missing", key):
            return ()
        after, loose = 0.0, False
        if self._strikes("delayed", key):
            after = faults.delay_seconds * self._number("delay", key)
        if self._strikes("reordered", key):
            after, loose = after + faults.delay_seconds * self._number("order", key), True
        if status is not None and self._strikes("late", key):
            after, loose = after + faults.late_seconds, True
        postings = [Posting(after, loose)]
        if self._strikes("duplicated", key):
            postings.append(Posting(after + faults.delay_seconds * self._number("repeat", key), loose=True))
        return postings

    def _by_script(self, script: Scripted, number: str, recipient: str) -> CallPlan:
        script.times -= 1
        if not script.times:
            self.scripted.remove(script)
        self._calls[number, recipient] += 1
        self.counts["scripted"] += 1
        return CallPlan(
            f"{number}/{recipient}/{self._calls[number, recipient]}",
            refusal=script.code,
            failed=script.failed,
            lost_answer=script.answer == "lost",
            broken_answer=script.answer == "broken",
            early=script.answer == "early",
            slow_seconds=self._faults.slow_seconds if script.answer == "slow" else 0.0,
        )

    def _strikes(self, name: str, key: str) -> bool:
        share = self._shares.get(name)
        if share is None or self._number(name, key) >= share:
            return False
        self.counts[name] += 1
        return True

    def _number(self, name: str, key: str) -> float:
        """From 0 to below 1, the same for the same seed, name and key."""
        text = f"{self._faults.seed}/{name}/{key}".encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=7).digest()) / 2**56

    def _pick(self, name: str, key: str, codes: Sequence[int]) -> int:
        return codes[int(self._number(name, key) * len(codes))]


def refusal(code: int) -> GraphError:
    """Meta's answer for a code that no rule led to."""
    title, _ = ERRORS[code]
    return GraphError(code, f"{title}. (Injected by the simulator.)", injected=True)
