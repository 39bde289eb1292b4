"""How large an installation must be for a rate of customers' messages: a small model over measured costs.

`python -m panier_bench.sizing` prints the tables of docs/sizing.md; `--measured bench/results/latest.json` uses this
machine's own figures. What was measured and what is assumed is told apart below; nothing here was run at size.
"""

import argparse
import json
import math
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from panier_common.topics import CHANGELOGS, DELIVERY, INBOUND, ORDER, OUTBOUND, SENT, TOPICS

RATES = (1, 100, 1_000, 10_000, 100_000)
"""Customers' messages a second, at the peak."""

DAY = 86_400
KEPT_DAYS = 7
COPIES = 3
PARTITIONS = (12, 48)
BROKERS = 3
GIB = 2**30


@dataclass(frozen=True)
class Costs:
    """Measured: what one process on one core can do, on two cores that also ran the engines and the load; PostgreSQL by
    a trial of batches over two connections on two cores.

    The least of several rounds, not the median: the machine's own speed wandered by half.
    """

    ingest_per_second: float = 8_600
    runner_per_second: float = 11_900
    sender_per_second: float = 2_000
    database_per_second: float = 18_000
    memory_mb: float = 98


@dataclass(frozen=True)
class Shape:
    """What one message of a customer causes.

    Measured: three purchases of six messages each on the local stack, records with key and headers; rows by
    `python -m panier_bench.growth`, packed. Assumed: how much of the utmost is planned with, the mean, the room that
    tables in use have beside their rows, and what a larger database can do.
    """

    replies: float = 1.33
    statuses: float = 3.0  # of each reply: sent, delivered, read
    inbound_bytes: float = 1_030
    delivery_bytes: float = 860
    outbound_bytes: float = 860
    sent_bytes: float = 720
    state_bytes: float = 760  # carts, orders, stock, payments, commands
    state_events: float = 1.5
    message_row_bytes: float = 700  # of one message in or out, with its statuses, over all databases
    order_row_bytes: float = 3_900
    conversation_row_bytes: float = 3_300
    messages_an_order: float = 6
    messages_a_customer: float = 15
    table_room: float = 2.0
    # Of the utmost: what is planned with, so that a pause is caught up with and a bad minute is no outage.
    use: float = 0.6
    # A database with eight cores against the trial's two, at three quarters of the gain.
    database_scale: float = 3.0
    mean_of_peak: float = 0.3
    # What a broker writes to its disk, with the copies that it keeps of others.
    broker_bytes_a_second: float = 60e6
    # Of a broker of the overlays' 4 GiB, beside its heap: what was written last and is read from memory.
    page_cache_gib: float = 2


@dataclass(frozen=True)
class Size:
    """What a rate needs in one cell, or in each of several."""

    rate: float
    cells: int
    processes: dict[str, int]
    partitions: int
    memory_gib: float
    brokers: int
    broker_disk_gib: float
    megabytes_a_second: float
    database_gib_a_year: float
    connections: int


def events(shape: Shape) -> dict[str, float]:
    """What each service decides on for one message of a customer; skipping what is another's costs next to nothing."""
    statuses = shape.replies * shape.statuses
    return {
        "catalog": 0.4 + 0.1,
        "cart": 0.4 + 0.1,
        "checkout": 0.4 + 0.2,
        # A status writes nothing there unless it failed.
        "sender": shape.replies,
        "console": 1 + shape.replies + shape.replies + statuses,
    }


def bytes_a_message(shape: Shape) -> float:
    return (
        shape.inbound_bytes
        + shape.replies * (shape.outbound_bytes + shape.sent_bytes)
        + shape.replies * shape.statuses * shape.delivery_bytes
        + shape.state_events * shape.state_bytes
    )


def read_bytes_a_message(shape: Shape) -> float:
    """What consumers take out of the topics for it: each is read by every service that follows it.

    Carts, orders, stock, payments and commands count as orders, which more follow than most of the others.
    """
    return (
        shape.inbound_bytes * len(INBOUND.consumers)
        + shape.replies * shape.outbound_bytes * len(OUTBOUND.consumers)
        + shape.replies * shape.sent_bytes * len(SENT.consumers)
        + shape.replies * shape.statuses * shape.delivery_bytes * len(DELIVERY.consumers)
        + shape.state_events * shape.state_bytes * len(ORDER.consumers)
    )


def row_bytes_a_message(shape: Shape) -> float:
    """Of rows that stay for a year and longer, in one copy."""
    packed = (
        (1 + shape.replies) * shape.message_row_bytes
        + shape.order_row_bytes / shape.messages_an_order
        + shape.conversation_row_bytes / shape.messages_a_customer
    )
    return packed * shape.table_room


def processor_seconds(costs: Costs, shape: Shape) -> dict[str, float]:
    """What one message of a customer costs each service."""
    of = {"ingest": (1 + shape.replies * shape.statuses) / costs.ingest_per_second}
    for service, wanted in events(shape).items():
        of[service] = wanted / (costs.sender_per_second if service == "sender" else costs.runner_per_second)
    return of


def database_ends(costs: Costs, shape: Shape) -> float:
    """Messages a second at which the busiest service's database is as busy as it may be."""
    return costs.database_per_second * shape.database_scale * shape.use / max(events(shape).values())


def partitions_end(partitions: int, costs: Costs, shape: Shape) -> float:
    """Messages a second at which the busiest service has a process for each partition."""
    following = [seconds for service, seconds in processor_seconds(costs, shape).items() if service != "ingest"]
    return partitions * shape.use / max(following)


def brokers_end(brokers: int, shape: Shape) -> float:
    """Messages a second at which these brokers write as much as they may, copies included."""
    return brokers * shape.broker_bytes_a_second / (bytes_a_message(shape) * COPIES)


def cells_for(rate: float, costs: Costs, shape: Shape) -> int:
    """A service's database or its partitions are the first to end; the busiest service decides."""
    return max(1, math.ceil(rate / min(database_ends(costs, shape), partitions_end(PARTITIONS[-1], costs, shape))))


def size(rate: float, costs: Costs, shape: Shape) -> Size:
    cells = cells_for(rate, costs, shape)
    each = rate / cells
    busy = processor_seconds(costs, shape)
    of = {service: max(2, math.ceil(each * seconds / shape.use)) for service, seconds in busy.items()}
    of["sales"] = 1
    partitions = next(n for n in PARTITIONS if n >= max(of.values()) or n == PARTITIONS[-1])
    flow = each * bytes_a_message(shape)
    brokers = max(BROKERS, math.ceil(each / brokers_end(1, shape)))
    kept = flow * shape.mean_of_peak * KEPT_DAYS * DAY * COPIES / brokers / GIB
    return Size(
        rate,
        cells,
        of,
        partitions,
        sum(of.values()) * costs.memory_mb / 1024,
        brokers,
        kept / 0.7,
        flow / 1e6,
        each * shape.mean_of_peak * row_bytes_a_message(shape) * 365 * DAY / GIB,
        max(count for service, count in of.items() if service not in ("ingest", "sales")) * 4,
    )


@dataclass(frozen=True)
class Pause:
    """What a customer feels of a pause, by the simulation."""

    share_late: float
    longest_seconds: float
    level_after_seconds: float


def pause(rate: float, capacity: float, seconds: float, late_seconds: float = 5.0) -> Pause:
    """One process that stands still for `seconds` and then works off what waits, in order, in steps of 10 ms.

    The share is of the messages of one minute that are answered later than promised.
    """
    step, now, waiting = 0.01, 0.0, [0.0, 0.0]  # arrived, done
    came: list[tuple[float, float]] = []
    late = longest = 0.0
    while True:
        waiting[0] += rate * step
        came.append((waiting[0], now))
        if now >= seconds:
            waiting[1] = min(waiting[0], waiting[1] + capacity * step)
        done_before = 0
        while done_before < len(came) and came[done_before][0] <= waiting[1] + 1e-9:
            waited = now - came[done_before][1]
            longest = max(longest, waited)
            late += rate * step if waited > late_seconds else 0.0
            done_before += 1
        del came[:done_before]
        now += step
        if now > seconds and not came:
            return Pause(min(1.0, late / (rate * 60)), longest, now - seconds)
        if now > 3_600:
            return Pause(1.0, longest, math.inf)


def rounded(value: float) -> str:
    if value >= 100:
        return f"{round(value, -1):,.0f}"
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def tables(costs: Costs, shape: Shape) -> str:
    lines = [
        "| messages a second | cells | ingest | catalog | cart | checkout | sender | console | partitions "
        "| memory of the services | brokers | disk of a broker | into the topics | databases a year | connections |",
        "|" + "---|" * 15,
    ]
    for rate in RATES:
        one = size(rate, costs, shape)
        of = one.processes
        lines.append(
            f"| {rate:,} | {one.cells} | "
            + " | ".join(str(of[s]) for s in ("ingest", "catalog", "cart", "checkout", "sender", "console"))
            + f" | {one.partitions} | {rounded(one.memory_gib)} GiB | {one.brokers} "
            f"| {rounded(one.broker_disk_gib)} GiB | {rounded(one.megabytes_a_second)} MB/s "
            f"| {rounded(one.database_gib_a_year)} GiB | {one.connections} |"
        )
    lines += ["", *_ends(costs, shape)]
    lines += [
        "",
        "| share of a process's utmost | pause | answered later than 5 s, of a minute | longest | level again |",
    ]
    lines.append("|" + "---|" * 5)
    for use in (0.3, 0.6, 0.8, 0.9):
        for seconds in (2.0, 10.0):
            felt = pause(use * 1000, 1000, seconds)
            lines.append(
                f"| {use:.0%} | {seconds:g} s | {felt.share_late:.0%} | {felt.longest_seconds:.0f} s "
                f"| after {felt.level_after_seconds:.0f} s |"
            )
    return "\n".join(lines)


def _ends(costs: Costs, shape: Shape) -> list[str]:
    """Where what is one thing in a cell ends, and what the brokers do there."""
    few, many = PARTITIONS
    places = (
        ("the console's database, on eight cores", database_ends(costs, shape)),
        (f"{BROKERS} brokers", brokers_end(BROKERS, shape)),
        (f"{few} partitions", partitions_end(few, costs, shape)),
        (f"{many} partitions", partitions_end(many, costs, shape)),
    )
    lines = [
        "| what ends | messages a second | brokers | partitions' copies on a broker "
        "| a broker sends | memory holds the last |",
        "|" + "---|" * 6,
    ]
    for what, rate in sorted(places, key=lambda place: place[1]):
        brokers = max(BROKERS, math.ceil(rate / brokers_end(1, shape) - 1e-9))
        partitions = many if rate > partitions_end(few, costs, shape) else few
        copies = (len(TOPICS) + len(CHANGELOGS)) * partitions * COPIES / brokers
        written = rate * bytes_a_message(shape) * COPIES / brokers
        sent = rate * (read_bytes_a_message(shape) + bytes_a_message(shape) * (COPIES - 1)) / brokers
        lines.append(
            f"| {what} | {round(rate, -2):,.0f} | {brokers} | {copies:.0f} | {sent / 1e6:.0f} MB/s "
            f"| {shape.page_cache_gib * GIB / written:.0f} s |"
        )
    return lines


def measured(path: Path, costs: Costs) -> Costs:
    """This machine's own figures, where the benchmark has them."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    services = found.get("memory", {}).get("services_mb", {})
    own = {
        "ingest_per_second": found.get("ingest", {}).get("per_second"),
        "runner_per_second": found.get("runner", {}).get("events_per_second"),
        "sender_per_second": found.get("sender", {}).get("messages_per_second"),
        "memory_mb": max((mb for processes in services.values() for mb in processes), default=None),
    }
    names = {field.name for field in fields(Costs)}
    return replace(costs, **{name: float(value) for name, value in own.items() if value and name in names})


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--measured", type=Path, help="results of `make bench` instead of the README's")
    given = parser.parse_args().measured
    print(tables(measured(given, Costs()) if given else Costs(), Shape()))


if __name__ == "__main__":
    main()
