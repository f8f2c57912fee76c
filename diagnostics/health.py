"""Health in the database: what the watch stores, and what the console reads of it.

Only rows that changed are written. That an unchanged row is still true is said by one figure, `watermark.ticked_at`:
where the watch has not ticked lately, readers are told `unknown`, with the time of the last judgement.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np

from diagnostics.judgement import Judgement, unjudged
from diagnostics.limits import Policy
from diagnostics.reasons import REASON_INDEX, REASONS, STATE_INDEX, STATES, Reason, State
from diagnostics.snapshot import Bool, Snapshot
from fleet.clock import to_ms
from fleet.database import Connection

READER: Final = "watch"
# Six missed ticks of ten seconds: a restart of the database takes less.
WATCH_LASTS: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class ReasonNow:
    """One reason that holds; `value` in the unit that `diagnostics.reasons` states, None where it has none."""

    code: Reason
    since: datetime
    value: float | None


@dataclass(frozen=True, slots=True)
class Health:
    """How a terminal is, as last judged at `judged_at` (None: never); reasons worst first."""

    terminal_id: str
    state: State
    since: datetime
    judged_at: datetime | None
    reasons: list[ReasonNow]


@dataclass(frozen=True, slots=True)
class Counts:
    """How many terminals of the registry are in each state (every state is there)."""

    states: dict[State, int]
    judged_at: datetime | None


def health_of(conn: Connection, terminals: Sequence[str], *, now: datetime) -> dict[str, Health]:
    """The health of each asked terminal.

    One that was never judged is unknown. Where the watch itself is stale each is unknown, and what it was last judged to
    have still follows the reason `not_watched`.
    """
    ticked_at = _ticked_at(conn)
    watched = ticked_at is not None and now - ticked_at <= WATCH_LASTS
    not_watched = ReasonNow(Reason.NOT_WATCHED, ticked_at or now, None)
    found = {terminal: Health(terminal, State.UNKNOWN, now, ticked_at, [not_watched]) for terminal in terminals}
    rows = conn.execute(
        "SELECT terminal_id, state, since, reasons FROM diagnostics.health WHERE terminal_id = ANY(%(ids)s)",
        {"ids": list(terminals)},
    )
    for terminal, state, since, stored in rows:
        reasons = [ReasonNow(Reason(r["code"]), datetime.fromisoformat(r["since"]), r["value"]) for r in stored]
        if watched:
            found[terminal] = Health(terminal, State(state), since, ticked_at, reasons)
        else:
            found[terminal] = Health(terminal, State.UNKNOWN, not_watched.since, ticked_at, [not_watched, *reasons])
    return found


def counts(conn: Connection, *, now: datetime) -> Counts:
    """How the fleet is; all of it unknown where the watch itself is stale."""
    ticked_at = _ticked_at(conn)
    rows = conn.execute(
        "SELECT coalesce(h.state, 'unknown'), count(*) FROM fleet.terminal t"
        " LEFT JOIN diagnostics.health h ON h.terminal_id = t.id GROUP BY 1"
    )
    stored = {State(state): count for state, count in rows}
    if ticked_at is None or now - ticked_at > WATCH_LASTS:
        stored = {State.UNKNOWN: sum(stored.values())}
    return Counts({state: stored.get(state, 0) for state in STATES}, ticked_at)


def load_judgement(conn: Connection, fleet: Snapshot, *, policy: Policy, now: datetime) -> Judgement:
    """What was last judged of these terminals, so that a restart neither flaps nor forgets."""
    judgement = unjudged(len(fleet), policy=policy, now_ms=to_ms(now))
    rows = conn.execute("SELECT terminal_id, state, since, reasons FROM diagnostics.health").fetchall()
    places = fleet.rows_of(np.array([row[0] for row in rows], dtype="S6"))
    for place, (_, state, since, reasons) in zip(places.tolist(), rows, strict=True):
        if place < 0:
            continue
        judgement.state[place] = STATE_INDEX[State(state)]
        judgement.state_since_ms[place] = to_ms(since)
        for reason in reasons:
            column = REASON_INDEX[Reason(reason["code"])]
            judgement.reasons[place] |= 1 << column
            judgement.reason_since_ms[place, column] = to_ms(datetime.fromisoformat(reason["since"]))
            judgement.value[place, column] = np.nan if reason["value"] is None else reason["value"]
    return judgement


def save_judgement(conn: Connection, fleet: Snapshot, judgement: Judgement, *, previous: Judgement, now: datetime) -> int:
    """Store what differs from `previous`, and a `health_change` for each flip; returns the flips.

    Who was never judged differs from every judgement: unknown without a reason.
    """
    flipped = (judgement.state != previous.state) | (judgement.reasons != previous.reasons)
    # NaN means "no value" on both sides.
    told = (judgement.value != previous.value) & ~np.isnan(judgement.value)
    rows = np.flatnonzero(flipped | told.any(axis=1))
    if not len(rows):
        return 0
    with conn.cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE IF NOT EXISTS judged (terminal_id text, state text, since timestamptz, reasons jsonb,"
            " flipped boolean) ON COMMIT DELETE ROWS"
        )
        with cursor.copy("COPY judged FROM STDIN") as copy:
            copy.write(_copy_text(fleet, judgement, rows, flipped))
        cursor.execute(
            "INSERT INTO diagnostics.health AS h (terminal_id, state, since, reasons)"
            " SELECT terminal_id, state, since, reasons FROM judged"
            " ON CONFLICT (terminal_id) DO UPDATE SET state = excluded.state, since = excluded.since, reasons = excluded.reasons"
        )
        cursor.execute(
            "INSERT INTO diagnostics.health_change (terminal_id, at, state, reasons)"
            " SELECT terminal_id, %(now)s, state, reasons FROM judged WHERE flipped",
            {"now": now},
        )
        # Several moments may be judged in one transaction.
        cursor.execute("DELETE FROM judged")
    return int(np.count_nonzero(flipped))


def forget_terminals(conn: Connection) -> None:
    """Drop the health of terminals that left the registry; their history stays."""
    conn.execute("DELETE FROM diagnostics.health h WHERE NOT EXISTS (SELECT FROM fleet.terminal t WHERE t.id = h.terminal_id)")


def _ticked_at(conn: Connection) -> datetime | None:
    row = conn.execute("SELECT ticked_at FROM diagnostics.watermark WHERE reader = %(reader)s", {"reader": READER}).fetchone()
    return row[0] if row else None


def _copy_text(fleet: Snapshot, judgement: Judgement, rows: np.ndarray[Any, np.dtype[np.intp]], flipped: Bool) -> bytes:
    """The changed rows as COPY text; no field can hold a tab, a backslash or a line end."""
    reasons = [""] * len(rows)
    on = judgement.table()[rows]
    for column, reason in enumerate(REASONS):
        places = np.flatnonzero(on[:, column])
        since = _iso(judgement.reason_since_ms[rows[places], column])
        values = judgement.value[rows[places], column]
        told = np.where(np.isnan(values), "null", np.char.mod("%.6g", values))
        for place, begun, value in zip(places.tolist(), since, told.tolist(), strict=True):
            reasons[place] += f'{"," if reasons[place] else ""}{{"code":"{reason}","since":"{begun}","value":{value}}}'
    states = [STATES[state] for state in judgement.state[rows].tolist()]
    since = _iso(judgement.state_since_ms[rows])
    columns = zip(fleet.terminals[rows].astype("U6").tolist(), states, since, reasons, flipped[rows].tolist(), strict=True)
    return "".join(
        f"{terminal}\t{state}\t{begun}\t[{why}]\t{'t' if flip else 'f'}\n" for terminal, state, begun, why, flip in columns
    ).encode()


def _iso(ms: np.ndarray[Any, np.dtype[np.int64]]) -> list[str]:
    text: list[str] = np.datetime_as_string(ms.astype("datetime64[ms]"), timezone="UTC").tolist()
    return text
