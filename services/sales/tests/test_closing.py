"""When a day is closed, what is left of it then, and which days are published again."""

import asyncio
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from panier_common.contracts import events as e
from panier_common.topics import CART, ORDER
from panier_sales import snapshots
from panier_sales.counting import REMEMBERED_CARTS, Funnel, Place, ShopDay, Sold, count, former
from panier_sales.worker import _DECODER, _ENCODER, SOURCES, Worker

SHOP, CONVERSATION, NUMBER = "boulangerie", "106540352242922:FR.1", "106540352242922"
OLD = datetime(2026, 11, 2, 10, 0, tzinfo=UTC)
LATER = OLD + timedelta(days=14)
LINES = (e.Line("CRO-1", "Croissant", 3, 160),)
PARTITION = 3
PLACE = Place(PARTITION, "2026-11-02", SHOP)


class Counting:
    """A worker over a dict in the place of Faust's table."""

    def __init__(self, table: dict[str, bytes]) -> None:
        self.table = table
        assigned = {TopicPartition(topic, p) for topic in SOURCES for p in (PARTITION, 5)}
        self.worker: Any = Worker.__new__(Worker)
        self.worker._app = SimpleNamespace(consumer=SimpleNamespace(assignment=lambda: assigned))
        self.worker._days = table
        self.worker._shops = SimpleNamespace(by_id={SHOP: SimpleNamespace(timezone="Europe/Paris")})
        self.worker._open = defaultdict(list)
        self.worker.changed = Counter()
        self._numbers: Counter[int] = Counter()

    def pays(self, at: datetime, number: int | None = None, partition: int = PARTITION) -> int:
        """An order of that time is paid; the record's number is told, and may be repeated."""
        if number is None:
            self._numbers[partition] += 1
            number = self._numbers[partition]
        paid = e.OrderPaid(CONVERSATION, SHOP, "o1", "EUR", 480, LINES, at)
        message = SimpleNamespace(topic=ORDER.name, partition=partition, offset=0)
        self.worker._count(paid, message, f"checkout.conversations/{partition}/{number}")
        return number

    def publishes(self) -> None:
        self.worker.changed.clear()

    def value(self, place: Place) -> ShopDay:
        return _DECODER.decode(self.table[place.key])


@pytest.fixture
def counting() -> Counting:
    return Counting({})


def closed(counting: Counting) -> int:
    """An old day that a later record has closed; the number of its payment."""
    number = counting.pays(OLD)
    counting.publishes()
    counting.pays(LATER)
    assert counting.value(PLACE) == ShopDay(sold={"EUR": Sold(480, 1, 3)}, funnel=Funnel(paid=1))
    return number


def test_a_record_of_the_same_partition_closes_the_oldest_day_that_is_over(counting: Counting) -> None:
    counting.pays(OLD + timedelta(days=1))
    closed(counting)
    assert counting.value(Place(PARTITION, "2026-11-03", SHOP)).seen, "one a record"
    counting.pays(LATER)
    assert not counting.value(Place(PARTITION, "2026-11-03", SHOP)).seen


def test_neither_a_record_of_another_partition_nor_one_of_the_days_after_closes_it(counting: Counting) -> None:
    counting.pays(OLD)
    counting.publishes()
    counting.pays(LATER, partition=5)
    counting.pays(OLD + timedelta(days=8))
    assert counting.value(PLACE).seen


def test_a_day_stays_open_until_its_snapshot_is_out(counting: Counting) -> None:
    counting.pays(OLD)
    counting.pays(LATER)
    assert counting.value(PLACE).seen
    counting.publishes()
    counting.pays(LATER)
    assert not counting.value(PLACE).seen


def test_the_records_own_change_is_the_last_one_and_what_was_seen_is_kept_before_it_goes(counting: Counting) -> None:
    """The acknowledgement waits for the last; a kill between two of them must forget nothing."""
    changes: list[str] = []

    class Table(dict[str, bytes]):
        def __setitem__(self, key: str, value: bytes) -> None:
            changes.append(key)
            super().__setitem__(key, value)

    counting.table = counting.worker._days = Table()
    closed(counting)
    assert changes[-3:] == [former(PARTITION).key, PLACE.key, Place(PARTITION, "2026-11-16", SHOP).key]


async def test_a_closed_day_counts_no_repeat_whatever_was_recovered_since(counting: Counting) -> None:
    number = closed(counting)
    again = Counting(counting.table)
    await again.worker._look_over()
    before = dict(counting.table)
    again.pays(OLD, number)
    assert again.table == before


def test_what_is_new_to_a_closed_day_is_counted_published_and_closed_again(counting: Counting) -> None:
    closed(counting)
    counting.publishes()
    counting.pays(OLD)
    assert counting.value(PLACE).funnel.paid == 2
    assert counting.worker.changed == {(SHOP, PLACE.day): 1}
    counting.publishes()
    repeat = counting.pays(LATER)
    assert not counting.value(PLACE).seen
    counting.pays(OLD, repeat - 1)
    assert counting.value(PLACE) == ShopDay(sold={"EUR": Sold(960, 2, 6)}, funnel=Funnel(paid=2))


async def test_after_a_recovery_the_open_days_are_published_again_and_closed_in_their_turn(counting: Counting) -> None:
    counting.pays(OLD + timedelta(days=1))
    closed(counting)
    again = Counting(counting.table)
    await again.worker._look_over()
    assert again.worker.changed.keys() == {(SHOP, "2026-11-03"), (SHOP, "2026-11-16")}
    assert again.worker.days(SHOP).keys() == {"2026-11-02", "2026-11-03", "2026-11-16"}
    again.publishes()
    again.pays(LATER, 99)
    assert not again.value(Place(PARTITION, "2026-11-03", SHOP)).seen


async def test_a_value_that_cannot_be_read_ends_the_worker(counting: Counting) -> None:
    """Faust would recover, and nothing would be published or closed any more."""
    counting.worker._broken = asyncio.get_running_loop().create_future()
    counting.table[PLACE.key] = b"?"
    await counting.worker._look_over()
    assert counting.worker._broken.exception() is not None
    counting.table.clear()


@pytest.mark.parametrize(("carts", "before", "after"), [(5, 280, 47), (REMEMBERED_CARTS, 5705, 58)])
def test_little_is_left_of_a_closed_day(counting: Counting, carts: int, before: int, after: int) -> None:
    """Bytes of a quiet day and of a busy one: most of it is carts, then the producers' names."""
    producers = (f"{CART.name}|cart.conversations/3", f"{ORDER.name}|checkout.conversations/3")
    day = ShopDay(seen=dict.fromkeys(producers, 123_456))
    customer = e.Customer(user_id="FR.1")
    for n in range(carts):
        cart = f"0d9c6a1e-6a43-4f0b-9f0e-{n:012}"
        what = (CONVERSATION, NUMBER, SHOP, customer, cart, 1, LINES, "EUR", 480, OLD)
        day = count(count(day, e.CartChanged(*what)), e.CheckoutRequested(*what, "wamid.1"))
        day = count(day, e.OrderPaid(CONVERSATION, SHOP, "o1", "EUR", 480, LINES, OLD))
    counting.table[PLACE.key] = _ENCODER.encode(day)
    counting.worker._open[PARTITION].append(PLACE)
    sizes = [len(counting.table[PLACE.key])]
    counting.pays(LATER)
    sizes.append(len(counting.table[PLACE.key]))
    assert sizes == [before, after]
    assert counting.value(PLACE).funnel == day.funnel


class Publishing:
    """The publisher over marks, each round at once; `answers` has what each publish does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **days: int) -> None:
        monkeypatch.setattr(snapshots, "EVERY_SECONDS", 0)
        self.changed = Counter({(SHOP, day): times for day, times in days.items()})
        self.published: list[str] = []
        self.unready: str | None = None
        self._worker: Any = SimpleNamespace(
            changed=self.changed, day=lambda shop, day: [], why_not_ready=lambda: self.unready
        )
        self.answer: Any = lambda day: None

    async def publish(self, event: e.SalesCounted, *_: object) -> None:
        self.published.append(event.day)
        self.answer(event.day)

    async def run(self) -> None:
        producer: Any = SimpleNamespace(publish=self.publish)
        shops: Any = SimpleNamespace(by_id={})
        task = asyncio.create_task(snapshots.publish_changes(self._worker, shops, producer))
        for _ in range(10):
            await asyncio.sleep(0)
        task.cancel()


async def test_the_newest_day_is_published_first(monkeypatch: pytest.MonkeyPatch) -> None:
    publishing = Publishing(monkeypatch, **{"2026-11-02": 1, "2026-11-16": 1, "2026-11-03": 1})
    await publishing.run()
    assert publishing.published == ["2026-11-16", "2026-11-03", "2026-11-02"]
    assert not publishing.changed


async def test_a_day_is_marked_until_its_latest_figures_are_out(monkeypatch: pytest.MonkeyPatch) -> None:
    publishing = Publishing(monkeypatch, **{"2026-11-16": 1})

    def one_more_and_then_a_failure(day: str) -> None:
        assert publishing.changed[SHOP, day], "a day being published is not closed"
        if len(publishing.published) == 1:
            publishing.changed[SHOP, day] += 1
        elif len(publishing.published) == 2:
            raise KafkaError

    publishing.answer = one_more_and_then_a_failure
    await publishing.run()
    assert publishing.published == ["2026-11-16"] * 3
    assert not publishing.changed


async def test_a_rebalance_ends_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures of some partitions only would be wrong and look right."""
    publishing = Publishing(monkeypatch, **{"2026-11-02": 1, "2026-11-16": 1})

    def lose_partitions(day: str) -> None:
        publishing.unready = "the sales table is being recovered"

    publishing.answer = lose_partitions
    await publishing.run()
    assert publishing.published == ["2026-11-16"]
    assert publishing.changed == {(SHOP, "2026-11-02"): 1}
