"""Campaigns: which terminals get a release, in which wave and when.

Waves are drawn by shop, so that the terminals of one counter change together, from a kept seed: the same seed over the
same shops gives the same waves.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from math import ceil
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import psycopg
from psycopg.types.json import Jsonb

from firmware_rollout.assignment import State
from fleet.database import Connection
from fleet.errors import VigieError
from fleet.registry import Terminal, all_terminals
from fleet.scope import check_scope, in_scope

# Times without an offset are the head office's.
HOME: Final = ZoneInfo("Europe/Paris")
_WAVE: Final = re.compile(r"(\S+)\s+(\d+(?:\.\d+)?)\s*%")
# A day: a shop that was closed when its wave began has opened and restarted by then.
DEADLINE: Final = timedelta(hours=24)


class CampaignError(VigieError):
    """A campaign cannot be created or found; `field` names what is wrong."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field


@dataclass(frozen=True, slots=True)
class Wave:
    """When a wave begins, and how many percent of the target's shops it and those before it reach."""

    planned_at: datetime
    share_pct: float


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign; `states` counts its terminals by state."""

    id: int
    name: str
    release: str
    target: dict[str, str]
    seed: int
    deadline: timedelta
    created_at: datetime
    states: dict[State, int]


@dataclass(frozen=True, slots=True)
class WaveProgress:
    """A wave, and its terminals by state."""

    number: int
    planned_at: datetime
    share_pct: float
    states: dict[State, int]


def parse_wave(text: str) -> Wave:
    """Read a wave as people write it, `2026-11-20T06:00 5%`; without an offset the time is Paris's."""
    found = _WAVE.fullmatch(text.strip())
    try:
        planned_at = datetime.fromisoformat(found[1]) if found else None
    except ValueError:
        planned_at = None
    if found is None or planned_at is None:
        raise CampaignError("wave", f"{text!r} is not of the form `2026-11-20T06:00 5%`")
    return Wave(planned_at if planned_at.tzinfo else planned_at.replace(tzinfo=HOME), float(found[2]))


def check_waves(waves: Sequence[Wave]) -> None:
    """Raise `CampaignError` unless times and shares rise, and the last wave reaches everyone."""
    if not waves:
        raise CampaignError("wave", "name at least one, for example `2026-11-20T06:00 100%`")
    for number, (before, wave) in enumerate(pairwise(waves), start=2):
        if wave.planned_at <= before.planned_at:
            raise CampaignError("wave", f"wave {number} must begin after wave {number - 1}")
        if wave.share_pct <= before.share_pct:
            raise CampaignError("wave", f"wave {number} must reach more than wave {number - 1}: shares count from the start")
    if waves[0].share_pct <= 0 or waves[-1].share_pct != 100:
        raise CampaignError("wave", f"shares rise from above 0 to 100 %; the last one is {waves[-1].share_pct:g} %")


def draw_waves(terminals: Sequence[Terminal], waves: Sequence[Wave], *, seed: int) -> dict[str, int]:
    """Each terminal's wave number, from 1; shops are shuffled by the seed, whatever order the terminals come in."""
    shops = sorted({terminal.point_of_sale for terminal in terminals})
    place = np.random.default_rng(seed).permutation(len(shops))
    # Rounded up: the first wave of a small campaign has at least one shop.
    ends = [ceil(len(shops) * wave.share_pct / 100) for wave in waves]
    wave_of = dict(zip(shops, (np.searchsorted(ends, place, side="right") + 1).tolist(), strict=True))
    return {terminal.id: wave_of[terminal.point_of_sale] for terminal in terminals}


def create_campaign(
    conn: Connection,
    *,
    name: str,
    release: str,
    where: Mapping[str, str],
    waves: Sequence[Wave],
    seed: int,
    deadline: timedelta = DEADLINE,
    now: datetime,
) -> Campaign:
    """Create a campaign and assign every terminal that meets `where` to a wave.

    Raises:
        ScopeError: `where` names a dimension or value that the registry does not have.
        CampaignError: names the field: a name taken, an unknown release or one that does not fit the models aimed at, waves
            out of order, no terminal at all, or terminals that another campaign is still working on.
    """
    if not name.strip():
        raise CampaignError("name", "a campaign needs one")
    if deadline <= timedelta(0):
        raise CampaignError("deadline", "must be longer than nothing")
    check_waves(waves)
    fleet = all_terminals(conn)
    check_scope(where, fleet)
    aimed_at = in_scope(where, fleet)
    if not aimed_at:
        raise CampaignError("where", "each value is known, but no terminal meets all of them at once")
    # Two campaigns made at once must not both find the same terminals free.
    conn.execute("LOCK TABLE firmware_rollout.campaign IN SHARE ROW EXCLUSIVE MODE")
    _check_release(conn, release, aimed_at)
    _check_free(conn, aimed_at)
    campaign_id = _insert_campaign(conn, name=name.strip(), release=release, where=where, seed=seed, deadline=deadline, now=now)
    with conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO firmware_rollout.wave (campaign_id, number, planned_at, share_pct) VALUES (%s, %s, %s, %s)",
            [(campaign_id, number, wave.planned_at, wave.share_pct) for number, wave in enumerate(waves, start=1)],
        )
    drawn = draw_waves(aimed_at, waves, seed=seed)
    conn.execute(
        "INSERT INTO firmware_rollout.assignment (campaign_id, terminal_id, wave, state, since)"
        " SELECT %(id)s, drawn.terminal, drawn.wave, 'planned', %(now)s"
        " FROM unnest(%(terminals)s::text[], %(waves)s::integer[]) AS drawn (terminal, wave)",
        {"id": campaign_id, "now": now, "terminals": list(drawn), "waves": list(drawn.values())},
    )
    return campaign(conn, name.strip())


def campaign(conn: Connection, name: str) -> Campaign:
    """One campaign by name; `CampaignError` lists those there are where there is none."""
    found = list_campaigns(conn)
    for one in found:
        if one.name == name:
            return one
    raise CampaignError("name", f"no campaign {name!r}; known: {', '.join(one.name for one in found) or 'none'}")


def list_campaigns(conn: Connection) -> list[Campaign]:
    """Every campaign, newest first."""
    states: dict[int, dict[State, int]] = {}
    counted = conn.execute("SELECT campaign_id, state, count(*) FROM firmware_rollout.assignment GROUP BY 1, 2")
    for campaign_id, state, count in counted:
        states.setdefault(campaign_id, {})[State(state)] = count
    rows = conn.execute(
        "SELECT id, name, release, target, seed, deadline_s, created_at FROM firmware_rollout.campaign ORDER BY id DESC"
    )
    return [
        Campaign(id_, name, release, target, seed, timedelta(seconds=deadline_s), created_at, states.get(id_, {}))
        for id_, name, release, target, seed, deadline_s, created_at in rows
    ]


def progress(conn: Connection, campaign_id: int) -> list[WaveProgress]:
    """How far each wave of a campaign is."""
    states: dict[int, dict[State, int]] = {}
    counted = conn.execute(
        "SELECT wave, state, count(*) FROM firmware_rollout.assignment WHERE campaign_id = %(id)s GROUP BY 1, 2",
        {"id": campaign_id},
    )
    for wave, state, count in counted:
        states.setdefault(wave, {})[State(state)] = count
    rows = conn.execute(
        "SELECT number, planned_at, share_pct FROM firmware_rollout.wave WHERE campaign_id = %(id)s ORDER BY number",
        {"id": campaign_id},
    )
    return [WaveProgress(number, planned_at, share_pct, states.get(number, {})) for number, planned_at, share_pct in rows]


def reasons(conn: Connection, campaign_id: int) -> list[tuple[State, str, int, datetime]]:
    """What has happened in a campaign: (state reached, reason, how often, when last), the most recent first."""
    rows = conn.execute(
        "SELECT state, reason, count(*), max(at) FROM firmware_rollout.assignment_change WHERE campaign_id = %(id)s"
        " GROUP BY 1, 2 ORDER BY 4 DESC, 1, 2",
        {"id": campaign_id},
    )
    return [(State(state), reason, count, last) for state, reason, count, last in rows]


def _check_release(conn: Connection, release: str, aimed_at: Sequence[Terminal]) -> None:
    known: dict[str, list[str]] = dict(
        conn.execute("SELECT version, models FROM firmware_rollout.release ORDER BY version").fetchall()
    )
    if release not in known:
        raise CampaignError("release", f"no release {release!r}; known: {', '.join(known) or 'none, add one first'}")
    misfits = Counter(terminal.model for terminal in aimed_at if terminal.model not in known[release])
    if misfits:
        counted = ", ".join(f"{count:,} of model {model}" for model, count in sorted(misfits.items()))
        raise CampaignError("where", f"release {release} fits models {', '.join(known[release])}, but this aims at {counted}")


def _check_free(conn: Connection, aimed_at: Sequence[Terminal]) -> None:
    """A terminal can follow one plan at a time; one that is done, failed or rolled back may be aimed at again."""
    row = conn.execute(
        "SELECT c.name, count(*) FROM firmware_rollout.assignment a JOIN firmware_rollout.campaign c ON c.id = a.campaign_id"
        " WHERE a.terminal_id = ANY(%(ids)s) AND a.state IN ('planned', 'updating') GROUP BY 1 ORDER BY 2 DESC LIMIT 1",
        {"ids": [terminal.id for terminal in aimed_at]},
    ).fetchone()
    if row is not None:
        raise CampaignError("where", f"{row[1]:,} of these terminals are still planned or updating in campaign {row[0]!r}")


def _insert_campaign(
    conn: Connection, *, name: str, release: str, where: Mapping[str, str], seed: int, deadline: timedelta, now: datetime
) -> int:
    try:
        # A savepoint: a refused name leaves the caller's transaction usable.
        with conn.transaction():
            row = conn.execute(
                "INSERT INTO firmware_rollout.campaign (name, release, target, seed, deadline_s, created_at)"
                " VALUES (%(name)s, %(release)s, %(target)s, %(seed)s, %(deadline)s, %(now)s) RETURNING id",
                {
                    "name": name,
                    "release": release,
                    "target": Jsonb(dict(where)),
                    "seed": seed,
                    "deadline": int(deadline.total_seconds()),
                    "now": now,
                },
            ).fetchone()
    except psycopg.errors.UniqueViolation:
        raise CampaignError("name", f"there is a campaign {name!r} already") from None
    assert row is not None  # INSERT … RETURNING gives its row
    return int(row[0])
