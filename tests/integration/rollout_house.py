"""A small fleet with a campaign, its devices played by hand: what they fetch, say and run, as the other programs store it."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry

from firmware_rollout.campaigns import Campaign, campaign, create_campaign
from firmware_rollout.deeds import Deed, do
from firmware_rollout.gate.policy import DEFAULT_POLICY, Metric
from firmware_rollout.gate_round import judge_round
from firmware_rollout.planning import Step
from firmware_rollout.policy import Policy
from firmware_rollout.reconcile import Metrics, step
from firmware_rollout.releases import add_release
from firmware_rollout.states import State
from tests.integration.small_fleet import Conn, add_shops

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NAME = "autumn"
# By day, waves of one, five and all ten shops, and a gate that asks for nothing but a day and four fifths updated.
CALLS_ONLY = tuple(metric for metric in DEFAULT_POLICY.metrics if metric.metric is Metric.CALLS)
LENIENT: dict[str, Any] = {"alpha": 0.01, "least_days": 1.0, "least_updated_pct": 80.0, "longest_days": 45.0}


def lenient_policy(**changed: Any) -> Policy:
    """A policy for ten shops: no window, no odds of the gate to wait for."""
    gate = msgspec.structs.replace(
        DEFAULT_POLICY, metrics=tuple(msgspec.structs.replace(one, needed=(), grace_days=0) for one in CALLS_ONLY), **LENIENT
    )
    given = {"window": None, "shares_pct": (10.0, 50.0, 100.0), "soak_minutes": 60.0, "gate": gate}
    return Policy(**{**given, **changed})


def add_release_file(conn: Conn, version: str) -> None:
    """Give a declared release a file, as if its maker had signed one."""
    number = int(version.replace(".", ""))
    conn.execute(
        "UPDATE firmware_rollout.release SET filename = 'f.bin', length = 1, sha256 = %s, sha1 = %s WHERE version = %s",
        [f"{number:064x}", f"{number:040x}", version],
    )


def furnish(conn: Conn) -> list[str]:
    """Ten shops of two model B terminals, connected and well, one of model A, and releases 4.2.1 and 4.3.0 for B."""
    ids = add_shops(conn, 10)
    add_shops(conn, 1, first=50, model="A")
    for version in ("4.2.1", "4.3.0"):
        add_release(conn, version=version, models=["B"], notes="", now=NOW)
        add_release_file(conn, version)
    born(conn, ids, at=NOW - HOUR)
    watched(conn, NOW)
    return ids


def drafted(conn: Conn, **changed: Any) -> Campaign:
    """A campaign that brings 4.3.0 to model B, made by alix."""
    given = {
        "name": NAME,
        "release": "4.3.0",
        "where": {"model": "B"},
        "policy": lenient_policy(),
        "seed": 7,
        "actor": "alix",
        "now": NOW,
    }
    return create_campaign(conn, **{**given, **changed})


def begun(conn: Conn, **changed: Any) -> Campaign:
    """The same, approved by sacha, its first wave open and its terminals asked to update."""
    made = drafted(conn, **changed)
    do(conn, made.name, Deed.APPROVE, actor="sacha", why="", now=NOW)
    for _ in range(2):
        take_step(conn, NOW)
    return campaign(conn, made.name)


def take_step(conn: Conn, now: datetime) -> list[Step]:
    """A round of the gate and a step of `vigie rollout`; whoever watches has just looked, and planning too."""
    watched(conn, now)
    conn.execute("UPDATE firmware_rollout.campaign_look SET at = %s", [now])
    judge_round(conn, now=now)
    return step(conn, now=now, metrics=Metrics(CollectorRegistry()))


def in_wave(conn: Conn, number: int) -> list[str]:
    """The terminals of a wave."""
    rows = conn.execute("SELECT terminal_id FROM firmware_rollout.assignment WHERE wave = %s ORDER BY 1", [number])
    return [row[0] for row in rows]


def states(conn: Conn) -> dict[State, int]:
    """How many terminals are in each state."""
    return campaign(conn, NAME).states


def born(
    conn: Conn, terminals: Iterable[str], *, at: datetime, firmware: str = "4.2.1", boot: int = 1, online: bool = True
) -> None:
    """What ingest knows of these terminals' newest births, or losses."""
    with conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO fleet.presence (terminal_id, online, session, changed_at, boot, at, firmware, slot, model, hw)"
            " VALUES (%(id)s, %(online)s, 1, %(at)s, %(boot)s, %(at)s, %(firmware)s, 'A', 'B', '1')"
            " ON CONFLICT (terminal_id) DO UPDATE SET online = excluded.online, changed_at = excluded.changed_at,"
            " boot = excluded.boot, at = excluded.at, firmware = excluded.firmware",
            [{"id": one, "online": online, "at": at, "boot": boot, "firmware": firmware} for one in terminals],
        )


def lost(conn: Conn, terminals: Sequence[str], *, at: datetime) -> None:
    """Their connections were lost."""
    conn.execute("UPDATE fleet.presence SET online = false, changed_at = %s WHERE terminal_id = ANY(%s)", [at, list(terminals)])


def watched(conn: Conn, now: datetime) -> None:
    """`vigie watch` looked a moment ago; whoever it never judged is well."""
    conn.execute(
        "INSERT INTO diagnostics.watermark VALUES ('watch', 0, %s)"
        " ON CONFLICT (reader) DO UPDATE SET ticked_at = excluded.ticked_at",
        [now],
    )
    conn.execute(
        "INSERT INTO diagnostics.health (terminal_id, state, since, reasons) SELECT id, 'ok', %s, '[]' FROM fleet.terminal"
        " ON CONFLICT DO NOTHING",
        [now],
    )


def fetched(conn: Conn, terminals: Sequence[str], *, at: datetime) -> None:
    """These devices fetched what they are asked."""
    conn.execute(
        "UPDATE firmware_rollout.action SET retrieved_at = %s, heard_at = %s WHERE terminal_id = ANY(%s) AND state = 'open'",
        [at, at, list(terminals)],
    )


def told(conn: Conn, terminals: Sequence[str], *, at: datetime) -> None:
    """These devices say that they have succeeded."""
    fetched(conn, terminals, at=at)
    conn.execute(
        "UPDATE firmware_rollout.action SET state = 'told', told_at = %s, heard_at = %s"
        " WHERE terminal_id = ANY(%s) AND state = 'open'",
        [at, at, list(terminals)],
    )


def heard(conn: Conn, at: datetime) -> None:
    """Ingest has stored all that was said until then."""
    conn.execute(
        "INSERT INTO fleet.ingest_batch (id, xid, worker, received_at, messages, samples, events, repeats, dead_letters)"
        " VALUES (nextval('fleet.ingest_batch_id'), pg_current_xact_id(), 'test', %s, 0, 0, 0, 0, 0)",
        [at],
    )


def rang(conn: Conn, terminals: Iterable[str], *, at: datetime) -> None:
    """The shops of these terminals rang."""
    with conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO fleet.signal (at, terminal_id, kind, ref) VALUES (%s, %s, 'call', %s)",
            [(at, one, f"{one}-{at}") for one in terminals],
        )
