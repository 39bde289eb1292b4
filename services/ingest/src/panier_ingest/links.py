"""Which ids are one customer's: sets of linked ids, small enough to hold millions in memory. Pure.

A union is commutative and may be repeated, so every replica that has read the same links has the same sets,
whatever their order. Ids are nodes: a business-scoped user id as it is (it
means the same person for every number of a business), a phone number as `<phone_number_id>:<digits>`, since two
businesses must not become one through a customer that both know.
"""

from array import array
from collections.abc import Iterator

_LEFT = 1
_HAS_USER = 2
_FULL = 0.66


def phone_node(phone_number_id: str, wa_id: str) -> str:
    """A phone number as one number of a shop sees it."""
    return f"{phone_number_id}:{wa_id}"


def customer_of(node: str) -> str:
    """The part of a node that names the customer."""
    return node.rpartition(":")[2]


class Links:
    """About 50 bytes an id: texts end to end in one buffer, and numbers in arrays instead of objects.

    `_next` makes each set a ring, so that its members can be named.
    """

    __slots__ = ("_ends", "_flags", "_next", "_parent", "_slots", "_texts")

    def __init__(self) -> None:
        self._texts = bytearray()
        self._ends = array("I")
        self._parent = array("I")
        self._next = array("I")
        self._flags = bytearray()
        # Open addressing: a slot holds a node's number + 1, or 0.
        self._slots = array("I", bytes(4 * 1024))

    def __len__(self) -> int:
        return len(self._ends)

    def add(self, first: str, second: str, left: str = "") -> None:
        """These two are one customer's; with itself, an id is only known. `left` is one the customer gave up."""
        one, other = self._root(self._node(first)), self._root(self._node(second))
        if left:
            self._flags[self._node(left)] |= _LEFT
        if one == other:
            return
        self._parent[other] = one
        self._flags[one] |= self._flags[other] & _HAS_USER
        self._next[one], self._next[other] = self._next[other], self._next[one]

    def __contains__(self, node: str) -> bool:
        text, slots = node.encode(), self._slots
        if not slots[hash(text) & (len(slots) - 1)]:
            return False  # nearly always
        return self._find(text)[1] >= 0

    def are_one(self, first: str, second: str) -> bool:
        one, other = self._find(first.encode())[1], self._find(second.encode())[1]
        return one >= 0 and other >= 0 and self._root(one) == self._root(other)

    def may_take_user(self, phone: str) -> bool:
        """Whether a user id shown with this phone number is its customer's: the number was first seen alone,
        the customer still has it, and no other user id came with it before.
        """
        known = self._find(phone.encode())[1]
        return known >= 0 and not self._flags[known] & _LEFT and not self._flags[self._root(known)] & _HAS_USER

    def members(self, node: str) -> Iterator[str]:
        """Every id of this one's set."""
        known = self._find(node.encode())[1]
        if known < 0:
            return
        yield self._text(known)
        at = self._next[known]
        while at != known:
            yield self._text(at)
            at = self._next[at]

    def forget(self, node: str) -> None:
        """The id is unknown again; the others of its set stay one. Its text is blank: no id is like that."""
        gone = self._find(node.encode())[1]
        if gone < 0:
            return
        others = []
        at = self._next[gone]
        while at != gone:
            others.append(at)
            at = self._next[at]
        if others:
            self._flags[others[0]] &= ~_HAS_USER
        for other, following in zip(others, others[1:] + others[:1], strict=True):
            self._parent[other], self._next[other] = others[0], following
            self._flags[others[0]] |= 0 if b":" in self._bytes(other) else _HAS_USER
        start = self._ends[gone - 1] if gone else 0
        self._texts[start : self._ends[gone]] = bytes(self._ends[gone] - start)
        self._parent[gone] = self._next[gone] = gone
        self._flags[gone] = 0

    def _bytes(self, node: int) -> bytearray:
        return self._texts[self._ends[node - 1] if node else 0 : self._ends[node]]

    def _text(self, node: int) -> str:
        return self._bytes(node).decode()

    def _root(self, node: int) -> int:
        parent = self._parent
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    def _find(self, text: bytes) -> tuple[int, int]:
        """The slot of a node, and its number: -1 for one not known, whose slot would be this."""
        slots = self._slots
        mask = len(slots) - 1
        at = hash(text) & mask
        while slots[at]:
            if self._bytes(slots[at] - 1) == text:
                return at, slots[at] - 1
            at = (at + 1) & mask
        return at, -1

    def _node(self, node: str) -> int:
        text = node.encode()
        at, known = self._find(text)
        if known >= 0:
            return known
        number = len(self._ends)
        self._texts += text
        self._ends.append(len(self._texts))
        self._parent.append(number)
        self._next.append(number)
        self._flags.append(0 if ":" in node else _HAS_USER)
        self._slots[at] = number + 1
        if number > len(self._slots) * _FULL:
            self._grow()
        return number

    def _grow(self) -> None:
        self._slots = array("I", bytes(4 * len(self._slots) * 2))
        for number in range(len(self._ends)):
            at, _ = self._find(bytes(self._bytes(number)))
            self._slots[at] = number + 1
