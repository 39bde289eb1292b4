"""What came in over the Graph API: how many messages, how fast each number, what was refused and why."""

import time
from collections import Counter, deque
from typing import Any

Json = dict[str, Any]


class _Pace:
    """Messages of one number within the last second, and the most there ever were."""

    def __init__(self) -> None:
        self.accepted = 0
        self.most = 0
        self._times: deque[float] = deque()

    def count(self, now: float) -> None:
        times = self._times
        times.append(now)
        while times[0] <= now - 1:
            times.popleft()
        self.most = max(self.most, len(times))
        self.accepted += 1


class CallCounts:
    """Since the start of the process or the last `clear`. Refusals by a rule are apart from injected ones."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.received = 0
        self.receipts = 0
        self._numbers: dict[str, _Pace] = {}
        self._ruled: Counter[int] = Counter()
        self._injected: Counter[int] = Counter()

    def accepted(self, number: str) -> None:
        """By the machine's clock: what is counted is what was really sent in a second."""
        self._numbers.setdefault(number, _Pace()).count(time.monotonic())

    def refused(self, code: int, injected: bool) -> None:
        (self._injected if injected else self._ruled)[code] += 1

    def document(self) -> Json:
        return {
            "received": self.received,
            "accepted": sum(pace.accepted for pace in self._numbers.values()),
            "receipts": self.receipts,
            "refused": {str(code): count for code, count in sorted(self._ruled.items())},
            "injected": {str(code): count for code, count in sorted(self._injected.items())},
            "numbers": {
                number: {"accepted": pace.accepted, "most_in_a_second": pace.most}
                for number, pace in self._numbers.items()
            },
        }
