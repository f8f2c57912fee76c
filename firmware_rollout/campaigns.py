"""Campaigns: which terminals get a release, in which wave and how.

What a person does to a campaign once it is made stands in `deeds`, what happens by itself in `planning` and `progress`.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

import psycopg
from psycopg.types.json import Jsonb

from firmware_rollout.audit import note
from firmware_rollout.policy import Policy, changed, check, written
from firmware_rollout.releases import Release, list_releases
from firmware_rollout.shops import calls_of_shops, draw_waves, strata_of_shops
from firmware_rollout.snapshot import TAKEN_OVER
from firmware_rollout.states import AT_WORK, CampaignState, State
from fleet.database import Connection
from fleet.errors import FieldError
from fleet.registry import Terminal, all_terminals
from fleet.scope import Values, check_scope, either, in_scope

# Times without an offset are the head office's.
HOME: Final = ZoneInfo("Europe/Paris")
# As the database keeps them.
SEEDS: Final = 2**62
# A first wave that should have begun longer ago was mistyped.
_LATE: Final = timedelta(days=1)
_WAVE: Final = re.compile(r"(\S+)\s+(\d+(?:\.\d+)?)\s*%")


class CampaignError(FieldError):
    """A campaign cannot be created, found or changed; `field` names what is wrong."""


@dataclass(frozen=True, slots=True)
class Wave:
    """When a wave begins at the earliest, and how many percent of the target's shops it and those before it reach."""

    planned_at: datetime
    share_pct: float


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign; `states` counts its terminals by state, `policy` is JSON (`policy.read_policy`).

    `target`: the values that its terminals have, any one of each dimension's.

    `overruled`: the newest of the gate's readings that a person let it go on against, 0: none; `overruled_at`: when one let it go
    on after a halt. `let_pass`: the wave that one let pass although the gate was not sure, 0: none.
    """

    id: int
    name: str
    release: str
    target: dict[str, list[str]]
    seed: int
    created_at: datetime
    created_by: str
    state: CampaignState
    reason: str
    state_since: datetime
    approved_by: str
    policy: str
    overruled: int
    overruled_at: datetime | None
    let_pass: int
    states: dict[State, int]


@dataclass(frozen=True, slots=True)
class WaveProgress:
    """A wave, and its terminals by state; `opened_at` is when it began, `passed_at` when the gate let the campaign past it."""

    number: int
    planned_at: datetime
    share_pct: float
    opened_at: datetime | None
    passed_at: datetime | None
    states: dict[State, int]


def parse_wave(text: str) -> Wave:
    """Read a wave as people write it, `2026-11-20T06:00 5%`; without an offset the time is Paris's."""
    found = _WAVE.fullmatch(text.strip())
    try:
        planned_at = datetime.fromisoformat(found[1]) if found else None
    except ValueError:
        planned_at = None
    if found is None or planned_at is None:
        raise CampaignError("wave", "'%(text)s' is not of the form `2026-11-20T06:00 5%%`", text=text)
    return Wave(planned_at if planned_at.tzinfo else planned_at.replace(tzinfo=HOME), float(found[2]))


def check_waves(waves: Sequence[Wave]) -> None:
    """Raise `CampaignError` unless shares rise, times don't fall, and the last wave reaches everyone."""
    if not waves:
        raise CampaignError("wave", "name at least one, for example `2026-11-20T06:00 100%`")
    for number, (before, wave) in enumerate(pairwise(waves), start=2):
        if wave.planned_at < before.planned_at:
            raise CampaignError("wave", "wave %(wave)s must not begin before wave %(before)s", wave=number, before=number - 1)
        if wave.share_pct <= before.share_pct:
            raise CampaignError(
                "wave",
                "wave %(wave)s must reach more than wave %(before)s: shares count from the start",
                wave=number,
                before=number - 1,
            )
    if waves[0].share_pct <= 0 or waves[-1].share_pct != 100:
        raise CampaignError("wave", "shares rise from above 0 to 100 %%; the last one is %(last)s %%", last=waves[-1].share_pct)


def create_campaign(
    conn: Connection,
    *,
    name: str,
    release: str,
    where: Mapping[str, Values],
    seed: int,
    actor: str,
    now: datetime,
    policy: Policy | None = None,
    waves: Sequence[Wave] = (),
) -> Campaign:
    """Draft a campaign and assign every terminal that meets `where` to a wave; it waits for a second person's approval.

    `waves`: earliest times of waves, whose shares replace the policy's; none: the first may begin once approved, each further
    one when the gate lets it.

    Raises:
        ScopeError: `where` names a dimension or value that the registry does not have.
        PolicyError: names the field of the policy that cannot be followed.
        CampaignError: names the field: a name taken, an unknown release or one that does not fit what is aimed at, waves
            out of order or long past, no terminal at all, or terminals that another campaign is still working on.
    """
    if not name.strip():
        raise CampaignError("name", "a campaign needs one")
    if not actor.strip():
        raise CampaignError("actor", "say who makes it: somebody else has to approve it")
    if not 0 <= seed < SEEDS:
        raise CampaignError("seed", "is a whole number from 0 to %(most)s", most=SEEDS - 1)
    if conn.execute("SELECT 1 FROM firmware_rollout.campaign WHERE name = %(name)s", {"name": name.strip()}).fetchone():
        raise _name_taken(name.strip())
    if waves:
        check_waves(waves)
        if now - waves[0].planned_at > _LATE:
            raise CampaignError("begins", "%(day)s is past; without a time it begins once approved", day=waves[0].planned_at)
    policy = changed(policy or Policy(), shares_pct=tuple(wave.share_pct for wave in waves)) if waves else policy or Policy()
    check(policy)
    fleet = all_terminals(conn)
    target = {dimension: either(values) for dimension, values in where.items()}
    check_scope(target, fleet)
    aimed_at = in_scope(target, fleet)
    if not aimed_at:
        raise CampaignError("where", "each value is known, but no terminal meets all of them at once")
    _check_release(list_releases(conn), release, aimed_at)
    check_free(conn, [one.id for one in aimed_at])
    planned = waves or [Wave(now, share) for share in policy.shares_pct]
    made = _insert_campaign(
        conn, name=name.strip(), release=release, target=target, seed=seed, policy=policy, actor=actor.strip(), now=now
    )
    _insert_waves(conn, made, planned)
    strata = strata_of_shops(aimed_at, calls_of_shops(conn, now=now))
    drawn = draw_waves(strata, policy.shares_pct, seed=seed)
    assign(conn, made, aimed_at, waves=drawn, strata=strata, drawn=True, now=now)
    details = {"release": release, "where": target, "seed": seed, "policy": written(policy), "terminals": len(aimed_at)}
    note(conn, actor=actor.strip(), deed="created", campaign_id=made, details=details, now=now)
    return campaign(conn, name.strip())


def assign(
    conn: Connection,
    campaign_id: int,
    terminals: Sequence[Terminal],
    *,
    waves: Mapping[str, int],
    strata: Mapping[str, str],
    drawn: bool,
    now: datetime,
) -> None:
    """Give terminals the wave and stratum of their shops; `drawn`: they are among those whose waves were drawn together."""
    conn.execute(
        "INSERT INTO firmware_rollout.assignment (campaign_id, terminal_id, wave, state, since, stratum, drawn)"
        " SELECT %(id)s, a.terminal, a.wave, 'planned', %(now)s, a.stratum, %(drawn)s"
        " FROM unnest(%(terminals)s::text[], %(waves)s::integer[], %(strata)s::text[]) AS a (terminal, wave, stratum)",
        {
            "id": campaign_id,
            "now": now,
            "drawn": drawn,
            "terminals": [one.id for one in terminals],
            "waves": [waves[one.point_of_sale] for one in terminals],
            "strata": [strata[one.point_of_sale] for one in terminals],
        },
    )


def campaign(conn: Connection, name: str) -> Campaign:
    """One campaign by name; `CampaignError` lists those there are where there is none."""
    found = list_campaigns(conn)
    for one in found:
        if one.name == name:
            return one
    raise CampaignError("name", "no campaign '%(name)s'; known: %(known)s", name=name, known=[one.name for one in found])


def list_campaigns(conn: Connection) -> list[Campaign]:
    """Every campaign, newest first."""
    states: dict[int, dict[State, int]] = {}
    counted = conn.execute("SELECT campaign_id, state, count(*) FROM firmware_rollout.assignment GROUP BY 1, 2")
    for campaign_id, state, count in counted:
        states.setdefault(campaign_id, {})[State(state)] = count
    rows = conn.execute(
        "SELECT id, name, release, target, seed, created_at, created_by, state, reason, COALESCE(state_since, created_at),"
        " approved_by, policy::text, COALESCE(overruled, 0), overruled_at, COALESCE(let_pass, 0)"
        " FROM firmware_rollout.campaign ORDER BY id DESC"
    )
    return [
        Campaign(
            id_,
            name,
            release,
            target,
            seed,
            at,
            by,
            CampaignState(state),
            reason,
            since,
            approved,
            policy,
            overruled,
            overruled_at,
            let_pass,
            states.get(id_, {}),
        )
        for id_, name, release, target, seed, at, by, state, reason, since, approved, policy, *decided in rows
        for overruled, overruled_at, let_pass in (decided,)
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
        "SELECT number, planned_at, share_pct, opened_at, passed_at FROM firmware_rollout.wave"
        " WHERE campaign_id = %(id)s ORDER BY number",
        {"id": campaign_id},
    )
    return [
        WaveProgress(number, planned_at, share_pct, opened_at, passed_at, states.get(number, {}))
        for number, planned_at, share_pct, opened_at, passed_at in rows
    ]


def reasons(conn: Connection, campaign_id: int) -> list[tuple[State, str, int, datetime]]:
    """What has happened in a campaign: (state reached, reason, how often, when last), the most recent first."""
    rows = conn.execute(
        "SELECT state, reason, count(*), max(at) FROM firmware_rollout.assignment_change WHERE campaign_id = %(id)s"
        " GROUP BY 1, 2 ORDER BY 4 DESC, 1, 2",
        {"id": campaign_id},
    )
    return [(State(state), reason, count, last) for state, reason, count, last in rows]


def _check_release(known: Sequence[Release], version: str, aimed_at: Sequence[Terminal]) -> None:
    release = next((one for one in known if one.version == version), None)
    if release is None:
        raise CampaignError(
            "release", "no release '%(version)s'; known: %(known)s", version=version, known=[one.version for one in known]
        )
    if release.withdrawn_at is not None:
        raise CampaignError("release", "%(version)s was withdrawn: %(why)s", version=version, why=release.withdrawn_why)
    misfits = Counter(f"{one.model}/{one.hw}" for one in aimed_at if not release.fits(one.model, one.hw))
    if misfits:
        raise CampaignError(
            "where",
            "release %(version)s fits models %(models)s, hardware %(hw)s, but this aims at others (by model/hardware): %(others)s",
            version=version,
            models=release.models,
            hw=release.hw or "*",
            others=[f"{kind}: {count:,}" for kind, count in sorted(misfits.items())],
        )


def check_free(conn: Connection, terminals: Sequence[str]) -> None:
    """Raise `CampaignError` unless no campaign is at work on these terminals: each can follow one plan at a time.

    A mere draft, this one or another, is none: whichever is approved first begins.
    """
    rows = conn.execute(
        "SELECT c.name, count(*) FROM firmware_rollout.assignment a JOIN firmware_rollout.campaign c ON c.id = a.campaign_id"
        f" WHERE a.terminal_id = ANY(%(ids)s) AND ((a.state IN ('updating', 'soaking') AND NOT {TAKEN_OVER})"
        "   OR (a.state = 'planned' AND c.state = ANY(%(at_work)s)))"
        " GROUP BY 1 ORDER BY 2 DESC, 1",
        {"ids": terminals, "at_work": [state.value for state in AT_WORK]},
    ).fetchall()
    if rows:
        named = ", ".join(f"{name} ({count:,})" for name, count in rows)
        raise CampaignError(
            "where",
            "campaigns are at work on some of these terminals; wait until they end, abort them or aim at others: %(named)s",
            named=named,
        )


def _name_taken(name: str) -> CampaignError:
    return CampaignError("name", "there is a campaign '%(name)s' already", name=name)


def _insert_campaign(
    conn: Connection, *, name: str, release: str, target: dict[str, list[str]], seed: int, policy: Policy, actor: str, now: datetime
) -> int:
    try:
        # A savepoint: a refused name leaves the caller's transaction usable.
        with conn.transaction():
            row = conn.execute(
                "INSERT INTO firmware_rollout.campaign (name, release, target, seed, deadline_s, created_at, created_by,"
                " state_since, policy) VALUES (%(name)s, %(release)s, %(target)s, %(seed)s, %(deadline)s, %(now)s, %(actor)s,"
                " %(now)s, %(policy)s::jsonb) RETURNING id",
                {
                    "name": name,
                    "release": release,
                    "target": Jsonb(target),
                    "seed": seed,
                    "deadline": max(1, round(policy.deadline.total_seconds())),
                    "now": now,
                    "actor": actor,
                    "policy": written(policy),
                },
            ).fetchone()
    except psycopg.errors.UniqueViolation:
        raise _name_taken(name) from None
    assert row is not None  # INSERT … RETURNING gives its row
    return int(row[0])


def _insert_waves(conn: Connection, campaign_id: int, waves: Sequence[Wave]) -> None:
    with conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO firmware_rollout.wave (campaign_id, number, planned_at, share_pct) VALUES (%s, %s, %s, %s)",
            [(campaign_id, number, wave.planned_at, wave.share_pct) for number, wave in enumerate(waves, start=1)],
        )
