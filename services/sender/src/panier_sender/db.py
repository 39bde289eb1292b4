"""Every SQL statement of the sender. Each function runs the same number, however many records there are."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
from asyncpg import Record
from panier_common import dead_letters, telemetry, timers
from panier_common.dead_letters import DeadLetter
from panier_common.event import encode
from panier_common.items import SUBMITTED_TOPIC
from panier_common.postgres import Connection
from panier_common.timers import NewTimer

from panier_sender.erasure import erase_messages
from panier_sender.failing import Letter
from panier_sender.happenings import DoubtDue, SweepDue, WorkDue
from panier_sender.journal import Journal, Sent
from panier_sender.line import Entry
from panier_sender.moves import timer_key
from panier_sender.rates import PAIR_BURST, PAIR_SECONDS
from panier_sender.window import Window, joined

NUMBERS = "sender.numbers"
WINDOWS = "sender.windows"
LINE_LIMIT = 3
SWEEP_LIMIT = 5000
# Meta repeats a webhook for 7 days; a status `failed` that comes later concerns nobody.
KEEP_SENT = timedelta(days=8)
# Meta keeps an upload for 30 days; a message waits for a day at most, a person's replay of it somewhat longer.
KEEP_UPLOAD = timedelta(days=29)
KEEP_FILE = timedelta(days=8)

_TYPES = {
    "id": "text",
    "home": "int",
    "conversation": "text",
    "phone_number_id": "text",
    "kind": "text",
    "lane": "text",
    "origin": "text",
    "body": "text",
    "buttons": "text",
    "requested_at": "timestamptz",
    "answers_at": "timestamptz",
    "traceparent": "text",
    "state": "text",
    "attempt": "int",
    "failures": "int",
    "claimed_at": "timestamptz",
    "proof": "text",
    "rank": "smallint",
    "template": "text",
    "undelivered": "text",
}
_COLUMNS = ", ".join(_TYPES)
_ARRAYS = ", ".join(f"${n}::{kind}[]" for n, kind in enumerate(_TYPES.values(), 1))

# The lines of the conversations named, of messages named by id, and of the first ready messages of numbers.
_LOAD = f"""
WITH wanted AS (
    SELECT unnest($1::text[]) AS conversation
    UNION SELECT conversation FROM message WHERE id = ANY($2::text[])
    UNION SELECT ready.conversation FROM unnest($3::text[], $4::int[]) AS number (id, room)
    CROSS JOIN LATERAL (
        SELECT conversation FROM message WHERE phone_number_id = number.id AND state = 'ready'
        ORDER BY rank, position LIMIT number.room
    ) AS ready
)
SELECT line.* FROM wanted CROSS JOIN LATERAL (
    SELECT position, {_COLUMNS} FROM message WHERE message.conversation = wanted.conversation
    ORDER BY position LIMIT {LINE_LIMIT + 1}
) AS line ORDER BY line.position
"""  # noqa: S608

_ADD = f"""
INSERT INTO message ({_COLUMNS})
SELECT {_COLUMNS} FROM unnest({_ARRAYS}) WITH ORDINALITY AS new ({_COLUMNS}, place) ORDER BY place
ON CONFLICT (id) DO NOTHING
"""  # noqa: S608

_CHANGE = """
UPDATE message SET state = new.state, attempt = new.attempt, failures = new.failures,
    claimed_at = new.claimed_at, proof = new.proof, rank = new.rank
FROM unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::timestamptz[], $6::text[], $7::smallint[])
    AS new (id, state, attempt, failures, claimed_at, proof, rank)
WHERE message.id = new.id
"""

# What the template replaces goes with it.
_REPLACE = """
UPDATE message SET kind = new.kind, body = new.body, buttons = new.buttons, template = '',
    undelivered = new.undelivered
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) AS new (id, kind, body, buttons, undelivered)
WHERE message.id = new.id
"""

_FINISH = """
WITH gone AS (
    DELETE FROM message USING unnest($1::text[], $2::text[]) AS done (id, wamid) WHERE message.id = done.id
    RETURNING message.id, home, conversation, phone_number_id, kind, origin, wamid, template
)
INSERT INTO sent (id, home, conversation, phone_number_id, kind, origin, wamid, template)
SELECT * FROM gone WHERE wamid <> '' ON CONFLICT (id) DO NOTHING
"""


async def load_lines(
    db: Connection, conversations: Sequence[str], message_ids: Sequence[str], ready: Mapping[str, int]
) -> list[Entry]:
    """In order. `ready` says how many ready messages of which numbers are wanted at most."""
    rows = await db.fetch(_LOAD, conversations, message_ids, list(ready), list(ready.values()))
    return [_entry(row) for row in rows]


def _entry(row: Record) -> Entry:
    return Entry(*row[1:])  # the first is the position that orders them


async def load_windows(db: Connection, conversations: Iterable[str]) -> dict[str, Window]:
    """A conversation that goes on as another has that one's as well: what was asked for earlier has its old key."""
    rows = await db.fetch(
        "SELECT wanted.key, w.last_message_at, w.stopped, w.spoke_at, w.no_offers "
        "FROM unnest($1::text[]) AS wanted (key) "
        "LEFT JOIN merged m ON m.loop = $2 AND m.conversation = wanted.key "
        'JOIN conversation_window w ON w.conversation IN (wanted.key, m."into")',
        list(conversations),
        WINDOWS,
    )
    found: dict[str, Window] = {}
    for key, *columns in rows:
        found[key] = joined(found.get(key) or Window(), Window(*columns))
    return found


async def load_windows_positions(db: Connection) -> dict[tuple[str, int], int]:
    """(topic, partition) → how far the loop over windows has read it, in whichever process."""
    rows = await db.fetch("SELECT topic, partition, next_offset FROM position WHERE loop = $1", WINDOWS)
    return {(row["topic"], row["partition"]): row["next_offset"] for row in rows}


async def save_windows(db: Connection, windows: Mapping[str, Window]) -> None:
    await db.execute(
        "INSERT INTO conversation_window (conversation, last_message_at, stopped, spoke_at, no_offers) "
        "SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::boolean[], $4::timestamptz[], $5::boolean[]) "
        "ON CONFLICT (conversation) DO UPDATE SET stopped = excluded.stopped, spoke_at = excluded.spoke_at, "
        "no_offers = conversation_window.no_offers OR excluded.no_offers, "
        "last_message_at = GREATEST(conversation_window.last_message_at, excluded.last_message_at)",
        sorted(windows),
        [windows[conversation].last_message_at for conversation in sorted(windows)],
        [windows[conversation].stopped for conversation in sorted(windows)],
        [windows[conversation].spoke_at for conversation in sorted(windows)],
        [windows[conversation].no_offers for conversation in sorted(windows)],
    )


async def save_offers(db: Connection, no_offers: Mapping[str, bool]) -> None:
    """Whether these customers stopped offers, as Meta says."""
    await db.execute(
        "INSERT INTO conversation_window (conversation, stopped, no_offers) "
        "SELECT key, false, no_offers FROM unnest($1::text[], $2::boolean[]) AS told (key, no_offers) "
        "ON CONFLICT (conversation) DO UPDATE SET no_offers = excluded.no_offers",
        sorted(no_offers),
        [no_offers[conversation] for conversation in sorted(no_offers)],
    )


async def lift_windows(db: Connection, heard: Mapping[str, datetime]) -> None:
    """What answers tell of when customers wrote. The loop over `inbound` writes the same rows: in the same order."""
    await db.execute(
        "INSERT INTO conversation_window (conversation, last_message_at, stopped) "
        "SELECT *, false FROM unnest($1::text[], $2::timestamptz[]) "
        "ON CONFLICT (conversation) DO UPDATE SET "
        "last_message_at = GREATEST(conversation_window.last_message_at, excluded.last_message_at)",
        sorted(heard),
        [heard[conversation] for conversation in sorted(heard)],
    )


async def load_sent(db: Connection, message_ids: Sequence[str]) -> dict[str, Sent]:
    rows = await db.fetch(
        "SELECT id, conversation, phone_number_id, kind, origin, wamid, template FROM sent WHERE id = ANY($1::text[])",
        message_ids,
    )
    return {row["id"]: Sent(**dict(row)) for row in rows}


async def save_journal(db: Connection, journal: Journal) -> None:
    """Write what changed; nothing for what did not. At most eleven statements."""
    # What was refused in the batch that brought it was never stored. Finished messages go first: the next of
    # their line may be claimed, and the index allows one call a customer.
    finished = {id: wamid for id, wamid in journal.finished.items() if id in journal.loaded}
    if finished:
        await db.execute(_FINISH, list(finished), list(finished.values()))
    if journal.erased:
        await erase_messages(db, sorted(journal.erased))
    await _save_entries(db, journal.added(), journal.changed(), journal.loaded)
    if journal.heard:
        await lift_windows(db, journal.heard)
    if journal.no_offers:
        await save_offers(db, dict.fromkeys(journal.no_offers, True))
    if journal.files:
        await db.execute(
            "INSERT INTO file (digest, mime_type, content) SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[]) "
            "ON CONFLICT (digest) DO UPDATE SET wanted_at = now()",
            sorted(journal.files),
            [journal.files[digest][0] for digest in sorted(journal.files)],
            [journal.files[digest][1] for digest in sorted(journal.files)],
        )
    if journal.letters:
        await dead_letters.keep(db, [_dead_letter(letter) for letter in journal.letters])
    if journal.forgotten:
        await db.execute("DELETE FROM sent WHERE id = ANY($1::text[])", sorted(journal.forgotten))


async def forget_old(db: Connection, homes: Sequence[int]) -> bool:
    """Some of what these homes sent long ago goes, and files that nothing names; whether there may be more of it."""
    told = await db.execute(
        "DELETE FROM sent WHERE id IN (SELECT id FROM sent WHERE home = ANY($1::int[]) "
        "AND sent_at < now() - $2::interval LIMIT $3)",
        homes,
        KEEP_SENT,
        SWEEP_LIMIT,
    )
    await db.execute("DELETE FROM file WHERE wanted_at < now() - $1::interval", KEEP_FILE)
    return told == f"DELETE {SWEEP_LIMIT}"


def _dead_letter(letter: Letter) -> DeadLetter:
    return DeadLetter(
        NUMBERS,
        letter.home,
        SUBMITTED_TOPIC,
        letter.home,
        -1,
        letter.key,
        msgspec.json.encode({"ce_type": letter.event.ce_type}),
        encode(letter.event),
        letter.reason,
        telemetry.trace_id_of(letter.traceparent),
    )


async def _save_entries(
    db: Connection, added: Sequence[Entry], changed: Sequence[Entry], loaded: Mapping[str, Entry]
) -> None:
    if changed:
        await db.execute(
            _CHANGE,
            [entry.id for entry in changed],
            [entry.state for entry in changed],
            [entry.attempt for entry in changed],
            [entry.failures for entry in changed],
            [entry.claimed_at for entry in changed],
            [entry.proof for entry in changed],
            [entry.rank for entry in changed],
        )
    replaced = [entry for entry in changed if entry.template != loaded[entry.id].template]
    if replaced:
        await db.execute(
            _REPLACE,
            [entry.id for entry in replaced],
            [entry.kind for entry in replaced],
            [entry.body for entry in replaced],
            [entry.buttons for entry in replaced],
            [entry.undelivered for entry in replaced],
        )
    if added:
        await db.execute(_ADD, *([getattr(entry, name) for entry in added] for name in _TYPES))


async def take_over(db: Connection, loop: str, homes: Sequence[int], doubt_after: timedelta) -> None:
    """What a former owner had claimed is in doubt now; timers bring everything back to the loop."""
    await db.execute(
        "UPDATE message SET state = 'doubt' WHERE home = ANY($1::int[]) AND state = 'claimed'", list(homes)
    )
    doubtful = await db.fetch(
        "SELECT id, home, conversation, phone_number_id, traceparent, proof, "
        "extract(epoch FROM claimed_at + $2::interval - now())::float8 AS seconds "
        "FROM message WHERE home = ANY($1::int[]) AND state = 'doubt'",
        list(homes),
        doubt_after,
    )
    waiting = await db.fetch(
        "SELECT DISTINCT home, phone_number_id, now() AS at FROM message "
        "WHERE home = ANY($1::int[]) AND state = 'ready'",
        list(homes),
    )
    new = [_doubt_timer(row) for row in doubtful]
    new += [_work_timer(row["home"], row["phone_number_id"], row["at"]) for row in waiting]
    new += [NewTimer(home, "sweep", 60.0, SweepDue.ce_type, encode(SweepDue()), None) for home in homes]
    await timers.change(db, loop, {(timer.home, timer.key): timer for timer in new})


async def sent_lately(db: Connection, homes: Sequence[int]) -> list[tuple[str, datetime]]:
    """(conversation, when) of what was sent in the time that a burst to one customer takes to be paid for."""
    rows = await db.fetch(
        "SELECT conversation, sent_at FROM sent WHERE home = ANY($1::int[]) "
        "AND sent_at > now() - $2::interval ORDER BY sent_at",
        list(homes),
        timedelta(seconds=PAIR_SECONDS * PAIR_BURST),
    )
    return [(row["conversation"], row["sent_at"]) for row in rows]


async def load_limits(db: Connection) -> dict[str, int]:
    """Digits of a display number → messages a second, as Meta told."""
    rows = await db.fetch("SELECT display, per_second FROM number_limit")
    return {row["display"]: row["per_second"] for row in rows}


async def save_limits(db: Connection, limits: Mapping[str, tuple[int, datetime]]) -> None:
    await db.execute(
        "INSERT INTO number_limit (display, per_second, at) "
        "SELECT * FROM unnest($1::text[], $2::int[], $3::timestamptz[]) "
        "ON CONFLICT (display) DO UPDATE SET per_second = excluded.per_second, at = excluded.at "
        "WHERE number_limit.at <= excluded.at",
        list(limits),
        [per_second for per_second, _ in limits.values()],
        [at for _, at in limits.values()],
    )


async def find_upload(db: Connection, number: str, digest: str) -> str | None:
    """The id of a file that was uploaded for this number and is still there."""
    found: str | None = await db.fetchval(
        "SELECT media_id FROM upload WHERE phone_number_id = $1 AND digest = $2 AND uploaded_at > now() - $3::interval",
        number,
        digest,
        KEEP_UPLOAD,
    )
    return found


async def find_file(db: Connection, digest: str) -> tuple[str, bytes] | None:
    """(type, content)"""
    row = await db.fetchrow("SELECT mime_type, content FROM file WHERE digest = $1", digest)
    return (row["mime_type"], row["content"]) if row is not None else None


async def save_upload(db: Connection, number: str, digest: str, media_id: str) -> None:
    await db.execute(
        "INSERT INTO upload (phone_number_id, digest, media_id) VALUES ($1, $2, $3) "
        "ON CONFLICT (phone_number_id, digest) DO UPDATE SET media_id = excluded.media_id, uploaded_at = now()",
        number,
        digest,
        media_id,
    )


def _doubt_timer(row: Record) -> NewTimer:
    seconds = 0.0 if row["proof"] else max(0.0, row["seconds"] or 0.0)
    due = DoubtDue(row["conversation"], row["phone_number_id"], row["id"])
    return NewTimer(row["home"], timer_key(row["id"]), seconds, DoubtDue.ce_type, encode(due), row["traceparent"])


def _work_timer(home: int, number: str, at: datetime) -> NewTimer:
    return NewTimer(home, f"work:{number}", 0.0, WorkDue.ce_type, encode(WorkDue(number, at)), None)


async def count_messages(db: Connection) -> dict[str, int]:
    """Messages of the journal by state, for the metrics; looks at 10,000 at most."""
    rows = await db.fetch(
        "SELECT state, count(*) AS messages FROM (SELECT state FROM message LIMIT 10000) AS looked_at GROUP BY state"
    )
    return {row["state"]: row["messages"] for row in rows}
