"""Campaigns beside the small fleet of a running web program: shops of their own, waves under way, one that the gate halted."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import psycopg

from firmware_rollout.campaigns import Campaign, campaign, create_campaign
from firmware_rollout.deeds import Deed, do
from firmware_rollout.releases import add_release
from tests.integration.rollout_house import (
    DAY,
    HOUR,
    LENIENT,
    MINUTE,
    add_release_file,
    born,
    lenient_policy,
    rang,
    take_step,
    told,
)
from tests.integration.small_fleet import add_shops

# Who makes campaigns, and who approves them: accounts of the small fleet's hotline.
MAKER, SECOND = "rollout_manager", "administrator"
NEW, OLD = "4.5.0", "4.4.0"
CARRIER = "omega"
SHOPS = 80


def furnish(conn: psycopg.Connection, *, now: datetime, others: Sequence[str] = ()) -> None:
    """Shops with a carrier of their own (and a few with each of `others`), connected and well, and two releases for them."""
    ids = add_shops(conn, SHOPS, first=500, terminals_each=1, carrier=CARRIER, firmware=OLD)
    for place, carrier in enumerate(others, start=7):
        ids += add_shops(conn, 4, first=100 * place, terminals_each=1, carrier=carrier, firmware=OLD)
    for version in (OLD, NEW):
        add_release(conn, version=version, models=["B"], notes=f"what {version} changes", now=now - 9 * DAY)
        add_release_file(conn, version)
    born(conn, ids, at=now - 8 * DAY, firmware=OLD)


def drafted(conn: psycopg.Connection, *, now: datetime, name: str = "hiver", **changed: Any) -> Campaign:
    """A campaign over these shops in two halves, which its maker cannot approve."""
    gate = msgspec.structs.replace(lenient_policy().gate, **{**LENIENT, "least_days": 9.0})
    given: dict[str, Any] = {
        "release": NEW,
        "where": {"carrier": CARRIER},
        "seed": 7,
        "policy": lenient_policy(gate=gate, shares_pct=(50.0, 100.0)),
        "actor": MAKER,
    }
    return create_campaign(conn, name=name, now=now, **{**given, **changed})


def begun(conn: psycopg.Connection, *, now: datetime, name: str = "hiver", **changed: Any) -> Campaign:
    """The same, approved, and its first wave asked to update."""
    made = drafted(conn, now=now, name=name, **changed)
    do(conn, name, Deed.APPROVE, actor=SECOND, why="essayé sur dix terminaux", now=now)
    for _ in range(2):
        take_step(conn, now)
    return campaign(conn, made.name)


def in_wave(conn: psycopg.Connection, name: str, number: int) -> list[str]:
    """The terminals of a wave of this campaign."""
    rows = conn.execute(
        "SELECT terminal_id FROM firmware_rollout.assignment JOIN firmware_rollout.campaign c ON c.id = campaign_id"
        " WHERE c.name = %s AND wave = %s ORDER BY 1",
        [name, number],
    )
    return [row[0] for row in rows]


def updated(conn: psycopg.Connection, terminals: list[str], *, now: datetime) -> None:
    """These devices say that they are done, and are seen so after a restart."""
    told(conn, terminals, at=now - MINUTE)
    for action in conn.execute(
        "SELECT id FROM firmware_rollout.action WHERE terminal_id = ANY(%s) AND state = 'told'", [terminals]
    ).fetchall():
        conn.execute(
            "INSERT INTO firmware_rollout.feedback (action_id, at, execution, finished, progress, details)"
            " VALUES (%s, %s, 'closed', 'success', 100, '{\"Slot B written, verified\"}')",
            [action[0], now - MINUTE],
        )
    born(conn, terminals, at=now, firmware=NEW, boot=2)
    take_step(conn, now)


def halted(conn: psycopg.Connection, *, now: datetime, name: str = "hiver") -> Campaign:
    """A campaign that began days ago and whose updated shops ring more and more, until the gate halts it."""
    start = now - 6 * DAY
    begun(conn, now=start, name=name)
    first, second = in_wave(conn, name, 1), in_wave(conn, name, 2)
    updated(conn, first[2:], now=start + 10 * MINUTE)
    rung = 0
    for day, ring in enumerate((3, 4, 9, 14), start=1):
        rang(conn, first[rung : rung + ring], at=start + day * DAY - HOUR)
        rang(conn, second[day - 1 : day], at=start + day * DAY - HOUR)
        rung += ring
        for _ in range(3):
            take_step(conn, start + day * DAY + timedelta(minutes=16))
    judged_again(conn, now=now)
    return campaign(conn, name)


def judged_again(conn: psycopg.Connection, *, now: datetime) -> None:
    """`vigie watch` goes on looking for as long as a test lasts."""
    conn.execute("UPDATE diagnostics.watermark SET ticked_at = %s WHERE reader = 'watch'", [now + timedelta(hours=12)])
