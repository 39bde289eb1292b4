"""Two hours of the schedule at 1,000 messages a second, without HTTP, on a clock of its own: `python` this file.

Three numbers at their limits with answers among news and reminders, customers who write, and Meta's refusals.
Prints what it did and how much of a core it took; exits 1 when a second saw more than a limit, an answer waited
behind anything else, a message was lost, or the schedule took a tenth of a core.
"""

import random
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field

from panier_sender.rates import pair_spent, pair_wait
from panier_sender.schedule import Schedule

LIMITS = {"high": 1000, "usual": 80, "coexistence": 20}
CUSTOMERS = 100_000
TURN_SECONDS = 0.004
ANSWER, NEWS, REMINDER = 0, 1, 2


@dataclass
class Report:
    """What happened, and `cpu_seconds` that the schedule and the pair limit took for it."""

    sent: Counter[str] = field(default_factory=Counter)
    most_in_a_second: Counter[str] = field(default_factory=Counter)
    longest_answer_wait: float = 0.0
    left: int = 0
    paired: int = 0
    cpu_seconds: float = 0.0


class Traffic:
    """What is asked for at each turn: as much as the limits allow, and a backlog of reminders."""

    def __init__(self) -> None:
        self._chance = random.Random(2026)
        self._owed = Counter[str]()

    def turn(self) -> list[tuple[str, int]]:
        asked = []
        for number, limit in LIMITS.items():
            self._owed[number] += limit * 0.97 * TURN_SECONDS
            while self._owed[number] >= 1:
                self._owed[number] -= 1
                asked.append((number, self._chance.choices((ANSWER, NEWS, REMINDER), (5, 3, 2))[0]))
        return asked

    def customer(self) -> int:
        return self._chance.randrange(CUSTOMERS)


def run(seconds: float) -> Report:
    """So much time of the schedule, at full load."""
    schedule: Schedule[tuple[str, int, float]] = Schedule(lambda number: LIMITS[number])
    traffic, report = Traffic(), Report()
    last_second: dict[str, deque[float]] = {number: deque() for number in LIMITS}
    paid: dict[int, float] = {}
    asked = 0
    for n in range(int(seconds / TURN_SECONDS)):
        now = n * TURN_SECONDS
        new = [(number, rank, traffic.customer()) for number, rank in traffic.turn()]
        asked += len(new)
        began = time.process_time()
        for number, rank, customer in new:
            if pair_wait(paid.get(customer, 0.0), now) > 0:
                report.paired += 1
            else:
                paid[customer] = pair_spent(paid.get(customer, 0.0), now)
            schedule.put(number, rank, (number, rank, now), now)
        due = schedule.due(now, 512)
        for number, _, _ in due:
            schedule.begin(number, now)
        report.cpu_seconds += time.process_time() - began
        _judge(report, last_second, due, now)
    report.left = schedule.waiting
    if sum(report.sent.values()) + report.left != asked:
        raise AssertionError("a message got lost")
    return report


def _judge(report: Report, last_second: dict[str, deque[float]], due: list[tuple[str, int, float]], now: float) -> None:
    for number, rank, since in due:
        report.sent[number] += 1
        window = last_second[number]
        window.append(now)
        while window[0] <= now - 1.0:
            window.popleft()
        report.most_in_a_second[number] = max(report.most_in_a_second[number], len(window))
        if rank == ANSWER:
            report.longest_answer_wait = max(report.longest_answer_wait, now - since)


def faults(report: Report, seconds: float) -> list[str]:
    """What the report shows that may not be."""
    found = [
        f"{number}: {most} messages in one second, the limit is {LIMITS[number]}"
        for number, most in report.most_in_a_second.items()
        if most > LIMITS[number]
    ]
    if report.longest_answer_wait > 0.5:
        found.append(f"an answer waited {report.longest_answer_wait:.2f} s behind what is less urgent")
    if report.cpu_seconds > seconds / 10:
        found.append(f"the schedule took {report.cpu_seconds / seconds:.3f} of a core")
    return found


if __name__ == "__main__":
    length = float(sys.argv[1]) if len(sys.argv) > 1 else 7200.0
    result = run(length)
    total = sum(result.sent.values())
    print(
        f"{length:,.0f} s of the schedule: {total:,} messages ({total / length:,.0f}/s), {result.left} still waiting, "
        f"at most {dict(result.most_in_a_second)} in a second, an answer waited {result.longest_answer_wait:.3f} s "
        f"at most, {result.cpu_seconds:.1f} s of CPU: {result.cpu_seconds / length:.4f} of a core, "
        f"{1e6 * result.cpu_seconds / total:.1f} µs a message"
    )
    for fault in faults(result, length):
        print(fault, file=sys.stderr)
    sys.exit(1 if faults(result, length) else 0)
