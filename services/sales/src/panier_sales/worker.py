"""The Faust worker: reads `cart` and `order`, and keeps every shop's days in a table.

At least once, one record at a time, no global table, and every change of a figure in one table value with
the memory against repeats. A record is acknowledged only when the broker has its change of the changelog, and
Faust commits no further than what is acknowledged, so a crash repeats and never loses.
"""

import asyncio
import logging
import tempfile
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from heapq import heapify, heappop, heappush
from pathlib import Path
from typing import Any, cast

import faust
import msgspec
import structlog
from aiokafka import TopicPartition
from faust.tables.manager import TableManager
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Producer, Transport
from faust.types import TP, StreamT
from faust.types.tuples import FutureMessage
from mode.threads import ServiceThread, WorkerThread
from panier_common import telemetry
from panier_common.brokers import brokers
from panier_common.event import SEQUENCE, TRACEPARENT, UnknownEventError, decode, from_wire, types_of
from panier_common.shops import ShopDirectory
from panier_common.topics import CART, CHANGELOGS, ORDER

from panier_sales import counting
from panier_sales.counting import COUNTED, Counted, Place, ShopDay

GROUP = "panier.sales"
TABLE = "days"
SOURCES = (CART.name, ORDER.name)
STOP_SECONDS = 10.0

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(ShopDay)
_WANTED = types_of(COUNTED)

log = structlog.get_logger()


class _Thread(WorkerThread):
    """Faust's consumer thread, which waits a minute and more for a broker that does not answer: at the end of
    the process it is left behind."""

    def __init__(self, service: ServiceThread, **options: Any) -> None:
        super().__init__(service, **options)
        self.daemon = True


class _Consumer(Consumer):
    """Faust's consumer, which gives no record out before its positions are settled.

    After a recovery Faust lets the sources flow, then seeks to the committed offsets, then empties the queues, and
    all the while a fetch may be under way: records are taken twice, or thrown away as if they had been counted.
    So what was fetched before the flow was resumed is dropped here, and the next fetch, alone by then, starts
    where the commits say.

    `turn` is one object from recovery to rebalance, and None between a rebalance and the end of its recovery.
    """

    turn: object | None = None
    _settled = False
    _resumed = False

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        self.turn = None
        await super().on_partitions_revoked(revoked)

    async def perform_seek(self) -> None:
        self.turn = object()
        self._settled = self._resumed = False
        await self._seek_to_committed()

    def resume_flow(self) -> None:
        self._resumed = True
        super().resume_flow()

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, faust.types.Message]]:
        if self._resumed and not self._settled:
            await self._seek_to_committed()
            self._settled = True
        async for tp, message in super().getmany(timeout):
            if self._settled or self._is_changelog_tp(tp):
                yield tp, message

    async def _seek_to_committed(self) -> None:
        await super().perform_seek()
        sources = (tp for tp in self.assignment() if not self._is_changelog_tp(tp))
        if never_read := [TopicPartition(*tp) for tp in sources if self._read_offset[tp] is None]:
            await self._thread.seek_to_beginning(*never_read)


class _Producer(Producer):
    """Faust's producer, which keeps the order of changes when it has to send one again."""

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"acks": "all", "enable_idempotence": True}


class _Table(faust.Table[str, bytes]):
    """Faust's table, which tells the last change of each partition that is on its way to the changelog.

    Before it commits, Faust waits for its buffer for a tenth of a second and not at all for the message in hand:
    a process killed then has committed what nobody will ever count.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.on_its_way: dict[int, asyncio.Future[Any]] = {}

    def send_changelog(self, partition: int | None, *arguments: Any, **options: Any) -> FutureMessage:
        sent = super().send_changelog(partition, *arguments, **options)
        if partition is not None:
            self.on_its_way[partition] = sent
        return sent


class Worker:
    """Counts until it is cancelled; `changed` has how often a (shop, day) was counted since its last snapshot.

    `_open` has each partition's open days, the oldest first.
    """

    def __init__(self, bootstrap_servers: str, shops: ShopDirectory) -> None:
        self._shops = shops
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.changed: Counter[tuple[str, str]] = Counter()
        self._open: defaultdict[int, list[Place]] = defaultdict(list)
        self._strangers: set[str] = set()
        AIOKafkaConsumerThread.Worker, Transport.Consumer, Transport.Producer = _Thread, _Consumer, _Producer
        self._app = _faust_app(bootstrap_servers)
        self._days = cast(_Table, self._app.Table(TABLE, key_type=str, value_type=bytes))
        self._days.on_recover(self._look_over)
        if self._days.changelog_topic_name != CHANGELOGS[0].name:
            raise RuntimeError(f"Faust names the changelog {self._days.changelog_topic_name}")
        source = self._app.topic(
            *SOURCES, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
        )
        self._app.agent(source, concurrency=1, name="panier_sales.count")(self._count_all)

    async def run(self, broker_answers: asyncio.Event) -> None:
        """Work; raises what broke the worker, so that the process ends and is started anew."""
        await broker_answers.wait()
        while not self._shops.loaded:  # noqa: ASYNC110 (it tells by being asked): a day needs its time zone
            await asyncio.sleep(0.1)
        try:
            await self._app.start()
            stopped = asyncio.ensure_future(self._app.wait_until_stopped())
            await asyncio.wait({stopped, self._broken}, return_when=asyncio.FIRST_COMPLETED)
            if self._broken.done():
                self._broken.result()
            raise self._app.crash_reason or RuntimeError("Faust stopped by itself")
        finally:
            await self._stop()

    async def _stop(self) -> None:
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._app.stop()
        except TimeoutError:  # what was not committed is counted again, to no effect
            log.warning("the broker did not let Faust leave in time")

    def why_not_ready(self) -> str | None:
        tables = cast(TableManager, self._app.tables)
        if not self._app.started or self._app.rebalancing or not tables.recovery.completed.is_set():
            return "the sales table is being recovered"
        partitions = self._partitions()
        missing = [n for topic in SOURCES if (n := self._missing(topic, partitions))]
        return f"{sum(missing)} partitions are counted elsewhere or not yet assigned" if missing else None

    def days(self, shop: str) -> dict[str, list[ShopDay]]:
        """Day → what each source partition counted of it."""
        found: dict[str, list[ShopDay]] = {}
        for place, counted in self._counted():
            if place.shop == shop:
                found.setdefault(place.day, []).append(counted)
        return found

    def day(self, shop: str, day: str) -> list[ShopDay]:
        """What each source partition counted of one day."""
        places = (Place(partition, day, shop) for partition in self._partitions())
        return [self._value(place) for place in places if place.key in self._days]

    def _partitions(self) -> set[int]:
        return {tp.partition for tp in self._app.consumer.assignment() if tp.topic in SOURCES}

    def _missing(self, topic: str, partitions: set[int]) -> int:
        return max(0, (self._app.consumer.topic_partitions(topic) or 0) - len(partitions))

    def _counted(self) -> Iterator[tuple[Place, ShopDay]]:
        partitions = self._partitions()
        for key, value in self._days.items():
            place = counting.place_of(key)
            if place.partition in partitions and place != counting.former(place.partition):
                yield place, _DECODER.decode(value)

    def _value(self, place: Place) -> ShopDay:
        return _DECODER.decode(self._days[place.key]) if place.key in self._days else ShopDay()

    async def _look_over(self) -> None:
        """Mark the open days as changed once the table is recovered: their last snapshot may not have come out.

        A day is closed behind its last snapshot, so closed ones need none.
        """
        try:
            self._open.clear()
            for place, counted in self._counted():
                if counted.seen:
                    self._open[place.partition].append(place)
                    self.changed[place.shop, place.day] += 1
            for places in self._open.values():
                heapify(places)
        except Exception as error:  # Faust drops what a callback raises
            self._break(error)

    async def _count_all(self, stream: StreamT[bytes]) -> None:
        # Acknowledged here and not by Faust, which would acknowledge a record whose work was broken off too.
        async for event in cast("faust.Stream[bytes]", stream).noack().events():
            turn = self._consumer.turn
            try:
                self._take(event)
            except Exception as error:
                self._break(error)
                return
            self._acknowledge(event, turn)

    @property
    def _consumer(self) -> _Consumer:
        return cast(_Consumer, self._app.consumer)

    def _acknowledge(self, event: faust.Event, turn: object | None) -> None:
        """Acknowledge the record once the broker has what it and the records before it changed.

        Not after a rebalance: its recovery may have asked where the changelog ends before the change arrived. What
        was recovered lacks it then, and the record has to be read again.
        """
        change = self._days.on_its_way.get(event.message.partition)
        if change is None or _has_arrived(change):
            self._ack(event, turn)
            return

        def arrived(change: asyncio.Future[Any]) -> None:
            if _has_arrived(change):
                self._ack(event, turn)
            elif not change.cancelled():
                self._break(change.exception() or RuntimeError("no answer about a change"))

        change.add_done_callback(arrived)

    def _ack(self, event: faust.Event, turn: object | None) -> None:
        if turn is not None and turn is self._consumer.turn:
            event.ack()

    def _break(self, error: BaseException) -> None:
        if not self._broken.done():
            self._broken.set_exception(error)

    def _take(self, event: faust.Event) -> None:
        headers = from_wire(event.headers.items())
        message = event.message
        ce_type = headers.get("ce_type", "")
        if ce_type not in _WANTED or event.value is None:
            return
        with _process_span(message, ce_type, headers.get(TRACEPARENT), event.key):
            try:
                fact = decode(ce_type, event.value)
            except (msgspec.DecodeError, UnknownEventError):
                # Sales keeps no dead letters: its sources do, and its figures can be checked against them.
                log.error(
                    "unreadable record passed over",
                    topic=message.topic,
                    offset=message.offset,
                    traceparent=headers.get(TRACEPARENT),
                )
                _outcome(message.topic, "unreadable")
                telemetry.EVENTS[GROUP, ce_type, "unreadable"] += 1
                return
            self._count(fact, message, headers.get(SEQUENCE, ""))  # type: ignore[arg-type]

    def _count(self, fact: Counted, message: faust.types.Message, sequence: str) -> None:
        producer, number = counting.producer_of(message.topic, sequence, message.offset)
        day = counting.day_of(counting.happened_at(fact), self._timezone(fact.shop))
        place = Place(message.partition, day, fact.shop)
        before = self._value(place)
        is_open = bool(before.seen)
        if not is_open:
            before = counting.reopen(before, self._value(counting.former(place.partition)))
        after = counting.apply(before, producer, number, fact)
        if after is None:
            _outcome(message.topic, "repeat")
            return
        if not is_open:
            heappush(self._open[place.partition], place)
        self._close_oldest(place)
        # The last of the record's changes: the one that its acknowledgement waits for.
        self._days[place.key] = _ENCODER.encode(after)
        self.changed[fact.shop, day] += 1
        _outcome(message.topic, "counted")
        telemetry.EVENTS[GROUP, fact.ce_type, "taken"] += 1

    def _close_oldest(self, now: Place) -> None:
        """Close the oldest open day of the partition, if it is over by now and its last snapshot is out.

        Here, since Faust lets a table be changed only while a record of the partition is in hand. One a record is
        enough: each open day had a record of its own.
        """
        oldest = self._open[now.partition][0]
        if not counting.is_over(oldest.day, now.day) or (oldest.shop, oldest.day) in self.changed:
            return
        heappop(self._open[now.partition])
        figures, seen = counting.close(self._value(oldest), self._value(counting.former(now.partition)))
        # In this order: a kill between the two forgets nothing.
        self._days[counting.former(now.partition).key] = _ENCODER.encode(seen)
        self._days[oldest.key] = _ENCODER.encode(figures)

    def _timezone(self, shop: str) -> str:
        """The shop's time zone; UTC for a shop that nobody configured, which is logged once.

        Nothing is awaited between a record and its acknowledgement: Faust may break off an agent that waits,
        and then commits nothing more of that partition.
        """
        if shop in self._shops.by_id:
            return self._shops.by_id[shop].timezone
        if shop not in self._strangers:
            log.warning("sales of an unknown shop, counted in UTC", shop=shop)
            self._strangers.add(shop)
        return "UTC"


def _has_arrived(change: asyncio.Future[Any]) -> bool:
    return change.done() and not change.cancelled() and change.exception() is None


def _faust_app(bootstrap_servers: str) -> faust.App:
    for name in ("faust", "mode", "aiokafka"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # `topics.py` has the changelog; a leader topic, a web server and a data folder are of no use here.
    logging.getLogger("faust.transport.drivers.aiokafka").addFilter(_is_news)
    return faust.App(
        GROUP,
        Table=_Table,
        broker=[f"kafka://{server.strip()}" for server in bootstrap_servers.split(",")],
        broker_credentials=_credentials(brokers(bootstrap_servers)),
        store="memory://",
        processing_guarantee="at_least_once",
        consumer_auto_offset_reset="earliest",
        broker_session_timeout=10.0,
        broker_heartbeat_interval=3.0,
        broker_commit_interval=1.0,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        stream_wait_empty=False,
        datadir=Path(tempfile.gettempdir()) / "panier-sales",
    )


def _credentials(given: dict[str, Any]) -> faust.SSLCredentials | faust.SASLCredentials | None:
    """The same for Faust as for every other client."""
    if "sasl_mechanism" in given:
        return faust.SASLCredentials(
            username=given["sasl_plain_username"],
            password=given["sasl_plain_password"],
            mechanism=given["sasl_mechanism"],
            ssl_context=given["ssl_context"],
        )
    return faust.SSLCredentials(given["ssl_context"]) if "ssl_context" in given else None


def _is_news(record: logging.LogRecord) -> bool:
    """Faust warns about every topic that it was told not to create."""
    return "Topic creation disabled" not in str(record.msg)


def _outcome(topic: str, outcome: str) -> None:
    telemetry.RECORDS.add(1, {"loop": GROUP, "topic": topic, "outcome": outcome})


@contextmanager
def _process_span(
    message: faust.types.Message, ce_type: str, traceparent: str | None, key: bytes | None
) -> Iterator[None]:
    if not (telemetry.tracing() and telemetry.is_sampled(traceparent)):
        yield
        return
    conversation = (key or b"").decode("utf-8", "replace")
    span = telemetry.start_process(
        message.topic, GROUP, ce_type, traceparent, message.partition, message.offset, conversation
    )
    try:
        yield
    finally:
        span.end()
