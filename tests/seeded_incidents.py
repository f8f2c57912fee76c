"""Lifelike incidents in a database that has a registry, as the watch would have stored them, for tests of what shows them."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import psycopg
from psycopg.types.json import Jsonb

from diagnostics.incidents import record
from diagnostics.scan.why import Contrast, Evidence, Leading, Level
from diagnostics.troubles import Trouble
from fleet.registry import DIMENSIONS, Terminal, all_terminals
from fleet.scope import in_scope

RAMP_MINUTES = 3.0


@dataclass(frozen=True)
class Seeded:
    """What there is to be said of one incident; minutes are ago."""

    trouble: Trouble
    scope: Mapping[str, str]
    began: float = 20.0
    fraction: float = 1.0
    state: str = "open"
    closed: float | None = None
    # Mean z inside and outside, of each metric that leads.
    z: Mapping[str, tuple[float, float]] = field(default_factory=lambda: {"rtt_ms": (5.2, 0.1), "loss_pct": (3.9, 0.0)})
    columns: Mapping[str, object] = field(default_factory=dict)
    seed: int = 7


def seed_incident(conn: psycopg.Connection, one: Seeded, *, now: datetime) -> int:
    """Store an incident with its terminals, events, minutes and evidence; returns its id."""
    chance = np.random.default_rng(one.seed)
    fleet = all_terminals(conn)
    inside = in_scope(one.scope, fleet)
    hit = [terminal for terminal in inside if chance.random() < one.fraction]
    began, closed = now - timedelta(minutes=one.began), None if one.closed is None else now - timedelta(minutes=one.closed)
    opened = began + timedelta(seconds=70)
    evidence = _evidence(one, fleet, inside, hit)
    columns: dict[str, object] = {
        "state": one.state,
        "scope": Jsonb(dict(one.scope)),
        "title": "",
        "trouble": one.trouble,
        "began_at": began,
        "opened_at": opened,
        "closed_at": closed,
        "score": 90.0,
        "hits": 0 if closed else len(hit),
        "worst_hits": len(hit),
        "evidence": Jsonb(evidence.to_json()),
        **one.columns,
    }
    names = ", ".join(columns)
    row = conn.execute(
        f"INSERT INTO diagnostics.incident ({names}) VALUES ({', '.join(f'%({name})s' for name in columns)}) RETURNING id", columns
    ).fetchone()
    assert row is not None
    hit_ids = {terminal.id for terminal in hit}
    with (
        conn.cursor() as cursor,
        cursor.copy("COPY diagnostics.incident_terminal (incident_id, terminal_id, joined_at, hit_at) FROM STDIN") as copy,
    ):
        for terminal in inside:
            at = began + timedelta(seconds=float(chance.exponential(45.0)))
            copy.write_row((row[0], terminal.id, opened, at if terminal.id in hit_ids else None))
    figures = {"terminals": len(inside), "hits": len(hit)}
    record(
        conn, incident_id=row[0], kind="opened", actor="watch", data={"terminals": len(inside), "hits": len(hit) // 3}, now=opened
    )
    record(conn, incident_id=row[0], kind="grew", actor="watch", data=figures, now=opened + timedelta(minutes=2))
    if columns.get("acknowledged_by"):
        at = opened + timedelta(minutes=4)
        conn.execute("UPDATE diagnostics.incident SET acknowledged_at = %s WHERE id = %s", [at, row[0]])
        record(conn, incident_id=row[0], kind="acknowledged", actor=str(columns["acknowledged_by"]), now=at)
    if closed:
        record(conn, incident_id=row[0], kind="closed", actor="watch", data=figures, now=closed)
    _minutes(conn, row[0], one, sizes=(len(inside), len(hit), len(fleet)), now=closed or now, chance=chance)
    return int(row[0])


def seed_health(conn: psycopg.Connection, incident_id: int, *, reason: str, state: str, value: float | None, now: datetime) -> None:
    """Judge every terminal that the incident hit ill, for this reason."""
    conn.execute(
        "INSERT INTO diagnostics.health AS h (terminal_id, state, since, reasons)"
        " SELECT terminal_id, %(state)s, hit_at, jsonb_build_array(jsonb_build_object("
        " 'code', %(reason)s::text, 'since', to_char(hit_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'),"
        " 'value', %(value)s::real)) FROM diagnostics.incident_terminal WHERE incident_id = %(id)s AND hit_at IS NOT NULL"
        " ON CONFLICT (terminal_id) DO UPDATE SET state = excluded.state, since = excluded.since, reasons = excluded.reasons",
        {"id": incident_id, "state": state, "reason": reason, "value": value},
    )
    conn.execute(
        "INSERT INTO diagnostics.watermark (reader, batch_id, ticked_at) VALUES ('watch', 0, %s) ON CONFLICT DO NOTHING",
        [now + timedelta(hours=12)],
    )


def _evidence(one: Seeded, fleet: Sequence[Terminal], inside: Sequence[Terminal], hit: Sequence[Terminal]) -> Evidence:
    hit_ids = {terminal.id for terminal in hit}
    outside = len(fleet) - len(inside)
    contrasts = []
    for dimension in DIMENSIONS:
        rest = in_scope({name: value for name, value in one.scope.items() if name != dimension}, fleet)
        judged = Counter(getattr(terminal, dimension) for terminal in rest)
        hits = Counter(getattr(terminal, dimension) for terminal in rest if terminal.id in hit_ids)
        own = one.scope.get(dimension)
        order = sorted(judged, key=lambda value: (value != own, -hits[value] / judged[value]))[:6]
        levels = tuple(
            Level(value, judged[value], round(max(hits[value] / judged[value], 0.0012), 5), value == own) for value in order
        )
        contrasts.append(Contrast(dimension, own is not None, levels))
    return Evidence(
        scope=dict(one.scope),
        terminals=len(inside),
        judged=len(inside),
        observed=float(len(hit)),
        expected=round(len(inside) * 0.0021, 2),
        rate_inside=round(len(hit) / max(len(inside), 1), 5),
        rate_outside=0.0021 if outside else 0.0,
        contrasts=tuple(contrasts),
        leading=tuple(Leading(metric, *means) for metric, means in one.z.items()),
        firmware_changed_h=26.5 if "firmware" in one.scope else None,
        firmware_changed_share=0.93 if "firmware" in one.scope else 0.0,
    )


def _minutes(
    conn: psycopg.Connection,
    incident_id: int,
    one: Seeded,
    *,
    sizes: tuple[int, int, int],
    now: datetime,
    chance: np.random.Generator,
) -> None:
    inside, hit, everyone = sizes
    began = now - timedelta(minutes=one.began - (one.closed or 0.0))
    minutes = int(one.began - (one.closed or 0.0))
    with (
        conn.cursor() as cursor,
        cursor.copy(
            "COPY diagnostics.incident_minute (incident_id, at, inside_hit, inside, outside_hit, outside, z) FROM STDIN"
        ) as copy,
    ):
        for minute in range(-30, minutes + 1):
            grown = 1 - math.exp(-minute / RAMP_MINUTES) if minute > 0 else 0.0
            quiet = min(hit, int(chance.poisson(inside * 0.002)))
            outside = everyone - inside
            z = {
                metric: [
                    round(means[0] * grown + float(chance.normal(0, 0.15)), 2),
                    round(means[1] + float(chance.normal(0, 0.05)), 2),
                ]
                for metric, means in one.z.items()
            }
            noise = int(chance.poisson(outside * 0.002)) if outside else 0
            at = (began + timedelta(minutes=minute)).replace(second=0, microsecond=0)
            copy.write_row((incident_id, at, max(quiet, round(hit * grown)), inside, noise, outside, Jsonb(z)))
