"""Stop, window and offers of a customer who is known under another id now: by property, and on the real engines."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
from hypothesis import given
from hypothesis import strategies as st
from panier_common.batch import Loop
from panier_common.contracts import inbound as m
from panier_common.contracts.events import ConversationMerged, Customer, Event, MessageReceived, Template
from panier_common.event import OWNER, Received
from panier_common.merging import Merging
from panier_common.topics import INBOUND
from panier_sender.hearing import Hearing, hear
from panier_sender.merges import merging_windows
from panier_sender.window import Window, heard, joined

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
OLD, NEW = "1:FR.2", "1:33612"
CONTENTS = st.sampled_from([m.Text("stop"), m.Text("bonjour"), m.Reaction("wamid.0", "x"), m.System("x")])
SECONDS = st.integers(0, 20)
WINDOWS = st.builds(
    Window,
    st.none() | SECONDS.map(lambda n: AT + timedelta(seconds=n)),
    st.booleans(),
    st.none() | SECONDS.map(lambda n: AT + timedelta(seconds=n)),
    st.booleans(),
)
MERGED = ConversationMerged(OLD, NEW, "1", Customer("FR.2", "33612"), AT)


async def unused(*_: Any) -> Any:
    raise AssertionError


class Homes:
    """Both conversations' homes in one working set; what they publish comes back when the test says so."""

    def __init__(self) -> None:
        loop = Loop("sender.windows", (INBOUND,), lambda *_: True, unused, hear, unused)
        self.loop = merging_windows(loop)
        self.hearing = Hearing({})
        self.world = Merging(self.hearing)
        self.passing: list[Event] = []

    def take(self, event: Event, owner: str = "") -> None:
        topic = INBOUND.name if isinstance(event, MessageReceived) else "command"
        received = Received(topic, 0, 0, str(uuid.uuid4()), AT, event, {OWNER: owner})
        self.passing += [effect.event for effect in self.loop.decide(self.world, received)]

    def bring_one(self) -> None:
        if self.passing:
            self.take(self.passing.pop(0))


def message(n: int, conversation: str, content: Any, at: datetime) -> MessageReceived:
    wamid = f"wamid.{n}"
    return MessageReceived(conversation, "1", Customer("FR.2", "33612"), wamid, at, content)


@given(
    st.lists(st.tuples(st.sampled_from([OLD, NEW]), CONTENTS, st.integers(0, 3)), max_size=8),
    st.integers(0, 8),
    st.integers(1, 3),
)
def test_a_merge_changes_nothing_of_what_was_said(said, merged_after, times):
    """Whichever key each message has, and whenever the merge is noticed and its records arrive."""
    homes, expected = Homes(), Window()
    for n, (conversation, content, brought) in enumerate(said):
        if n == merged_after:
            for _ in range(times):
                homes.take(MERGED)
        at, stop = AT + timedelta(seconds=n), content == m.Text("stop")
        expected = heard(expected, content, at, stop=stop)
        homes.take(message(n, conversation, content, at), "sender" if stop else "cart")
        for _ in range(brought):
            homes.bring_one()
    homes.take(MERGED)
    while homes.passing:
        homes.bring_one()
    assert homes.hearing.windows.get(NEW, Window()) == expected


@given(WINDOWS, WINDOWS, WINDOWS)
def test_joining_is_the_same_in_any_order_and_as_often_as_one_likes(a, b, c):
    assert joined(joined(a, b), c) == joined(a, joined(b, c))
    assert joined(a, b) == joined(b, a)
    assert joined(joined(a, b), b) == joined(a, b)


async def test_who_said_stop_under_one_id_is_left_alone_under_the_other(world, graph, until):
    """A system message of Meta's, which is no word of the customer's, shows the user id; then news and a reminder."""
    phone, user = "33600000001", "FR.900000001"  # the lesser of the two is the conversation
    async with world.sender():
        await world.hear(user, "stop", "sender")
        await until(lambda: graph.calls)  # the confirmation
        await world.publish(
            ConversationMerged(
                f"{world.number}:{user}",
                f"{world.number}:{phone}",
                world.number,
                Customer(user, phone),
                datetime.now(UTC),
            )
        )
        await until_window(world, f"{world.number}:{phone}")
        news = await world.ask(phone, "news", lane="news", answers_at=datetime.now(UTC) - timedelta(hours=30))
        await until(lambda: world.results(news))
        assert world.results(news)[0].reason == "stopped"
        # What was asked for under the old key obeys what is said under the new one from now on.
        await world.hear(phone, "bonjour", "catalog")
        await until_window(world, f"{world.number}:{phone}", stopped=False)
        late = await world.ask(
            user,
            "late",
            lane="news",
            answers_at=datetime.now(UTC) - timedelta(hours=30),
            template=Template("order_ready", "fr"),
        )
        await until(lambda: world.results(late))
    assert graph.calls[-1].text == "late"  # the window is open: no template


async def until_window(world, conversation: str, *, stopped: bool = True) -> None:
    db = await asyncpg.connect(world.database_url)
    try:
        async with asyncio.timeout(30):
            while stopped != await db.fetchval(  # noqa: ASYNC110 (rows cannot be awaited)
                "SELECT stopped FROM conversation_window WHERE conversation = $1 AND last_message_at IS NOT NULL",
                conversation,
            ):
                await asyncio.sleep(0.02)
    finally:
        await db.close()
