"""What people do to a campaign: approve, pause, resume, let a wave pass, halt, abort, roll back.

Each has its reason, and is noted in the audit. A deed is one guarded row: devices are offered nothing from the moment it is
stored, and the planner does the rest.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from firmware_rollout.actors import account, person
from firmware_rollout.audit import note
from firmware_rollout.campaigns import Campaign, CampaignError, campaign, check_free
from firmware_rollout.passing import PASSED, refused_pass, wave_to_pass
from firmware_rollout.releases import release_of
from firmware_rollout.states import AT_WORK, CampaignState
from fleet.database import Connection


class Deed(StrEnum):
    """What a person can do."""

    APPROVE = "approve"
    PAUSE = "pause"
    RESUME = "resume"
    PASS = PASSED
    HALT = "halt"
    ABORT = "abort"
    ROLL_BACK = "roll_back"


# From which states, and to which.
_C: Final = CampaignState
DEEDS: Final[Mapping[Deed, tuple[frozenset[CampaignState], CampaignState]]] = {
    Deed.APPROVE: (frozenset({_C.DRAFT}), _C.APPROVED),
    Deed.PAUSE: (frozenset({_C.RUNNING}), _C.PAUSED),
    Deed.RESUME: (frozenset({_C.PAUSED, _C.HALTED}), _C.RUNNING),
    # Where the gate is not sure; after it halted for want of evidence it goes on as well.
    Deed.PASS: (frozenset({_C.RUNNING, _C.HALTED}), _C.RUNNING),
    Deed.HALT: (frozenset({_C.RUNNING, _C.PAUSED}), _C.HALTED),
    Deed.ABORT: (frozenset({_C.DRAFT, _C.APPROVED, _C.RUNNING, _C.PAUSED, _C.HALTED, _C.ROLLING_BACK}), _C.ABORTED),
    # Once more, too: for who was not reached in time, or came up with it long after.
    Deed.ROLL_BACK: (frozenset({_C.RUNNING, _C.PAUSED, _C.HALTED, _C.FINISHED, _C.ABORTED, _C.ROLLED_BACK}), _C.ROLLING_BACK),
}


def possible(state: CampaignState) -> list[Deed]:
    """What can be done to a campaign in this state."""
    return [deed for deed, (before, _) in DEEDS.items() if state in before]


def possible_now(conn: Connection, one: Campaign) -> list[Deed]:
    """What can be done to this campaign as it stands."""
    against = {Deed.PASS: refused_pass, Deed.ROLL_BACK: _refused_roll_back}
    return [deed for deed in possible(one.state) if deed not in against or against[deed](conn, one) is None]


def do(conn: Connection, name: str, deed: Deed, *, actor: str, why: str, now: datetime) -> Campaign:
    """Do it, and note it; the caller commits.

    Raises:
        CampaignError: there is no such campaign, it is in another state, no reason is given, who approves it made it, its
            wave cannot be let pass, there is nothing to roll back, or newer campaigns are at work on what is to be rolled back.
    """
    found = campaign(conn, name)
    before, after = DEEDS[deed]
    actor, why = actor.strip(), why.strip()
    if not actor:
        raise CampaignError("actor", "say who does it")
    if deed is not Deed.APPROVE and not why:
        raise CampaignError("why", "say why: whoever finds it so will read it")
    if found.state not in before:
        can = possible_now(conn, found)
        raise CampaignError(
            "state", "%(name)s is %(state)s; what can be done to it: %(can)s", name=name, state=found.state, can=can
        )
    details: dict[str, Any] = {"from": found.state, "to": after, "why": why}
    if deed is Deed.APPROVE:
        _check_approval(conn, found, actor)
        _check_its_terminals(conn, found)
        if one := one_account(found.created_by, actor):
            details["one_account"] = one
    if deed is Deed.PASS:
        if against := refused_pass(conn, found):
            raise against
        details["wave"] = wave_to_pass(conn, found.id)
    if deed is Deed.ROLL_BACK:
        if against := _refused_roll_back(conn, found):
            raise against
        _check_newer(conn, found)
    _move(conn, found, deed, actor=actor, why=why, let_pass=details.get("wave"), now=now)
    note(conn, actor=actor, deed=deed.value, campaign_id=found.id, details=details, now=now)
    return campaign(conn, name)


def _move(conn: Connection, found: Campaign, deed: Deed, *, actor: str, why: str, let_pass: int | None, now: datetime) -> None:
    moved = conn.execute(
        "UPDATE firmware_rollout.campaign SET state = %(after)s, reason = %(why)s,"
        " state_since = CASE WHEN state = %(after)s THEN state_since ELSE %(now)s END,"
        " approved_by = CASE WHEN %(approves)s THEN %(actor)s ELSE approved_by END,"
        " approved_at = CASE WHEN %(approves)s THEN %(now)s ELSE approved_at END,"
        " overruled = CASE WHEN %(overrules)s THEN"
        "   (SELECT max(g.id) FROM firmware_rollout.gate_reading g WHERE g.campaign_id = campaign.id) ELSE overruled END,"
        " overruled_at = CASE WHEN %(overrules)s THEN %(now)s ELSE overruled_at END,"
        # Whatever else is done to it takes back that a wave was let pass.
        " let_pass = %(let_pass)s"
        " WHERE id = %(id)s AND state = %(before)s",
        {
            "id": found.id,
            "before": found.state.value,
            "after": DEEDS[deed][1].value,
            "why": why,
            "actor": actor,
            "approves": deed is Deed.APPROVE,
            "overrules": deed in (Deed.RESUME, Deed.PASS) and found.state is CampaignState.HALTED,
            "let_pass": let_pass,
            "now": now,
        },
    )
    if moved.rowcount != 1:
        raise CampaignError("state", "%(name)s has just changed; look again", name=found.name)


def one_account(maker: str, approver: str) -> str | None:
    """The account of the machine by which a campaign was both made and approved: then nothing proves that they are two people.

    It is no refusal: servers where everybody acts by one account are common, and who may act there may do anything. It is told.
    """
    made_by, approved_by = account(maker), account(approver)
    return approved_by if made_by is not None and made_by == approved_by else None


def _check_approval(conn: Connection, found: Campaign, actor: str) -> None:
    if person(actor).casefold() == person(found.created_by).casefold():
        raise CampaignError("actor", "%(person)s made this campaign; a second person approves it", person=person(actor))
    release = release_of(conn, found.release)
    if release.file is None:
        raise CampaignError(
            "release", "%(version)s was only declared; add its signed file: `vigie release add`", version=release.version
        )
    if release.withdrawn_at is not None:
        raise CampaignError("release", "%(version)s was withdrawn: %(why)s", version=release.version, why=release.withdrawn_why)


def _check_its_terminals(conn: Connection, found: Campaign) -> None:
    """Drafts may aim at the same terminals: the first that is approved has them, and who comes after it is drawn anew."""
    # Two that are approved at once must not both find the same terminals free.
    conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('approve a campaign', 0))")
    rows = conn.execute(
        "SELECT a.terminal_id, EXISTS (SELECT FROM firmware_rollout.assignment n WHERE n.terminal_id = a.terminal_id"
        "   AND n.campaign_id > a.campaign_id AND n.firmware_before IS NOT NULL)"
        " FROM firmware_rollout.assignment a WHERE a.campaign_id = %(id)s",
        {"id": found.id},
    ).fetchall()
    check_free(conn, [terminal for terminal, _ in rows])
    # The newer one has taken them over: this draft would never begin them.
    if taken := sum(begun for _, begun in rows):
        raise CampaignError(
            "older",
            "%(count)s of its terminals have been through a newer campaign since it was drafted;"
            " abort this draft and make the campaign anew",
            count=taken,
        )


def _refused_roll_back(conn: Connection, found: Campaign) -> CampaignError | None:
    """Why there is nothing to roll back; None: there is."""
    touched = conn.execute(
        "SELECT 1 FROM firmware_rollout.assignment WHERE campaign_id = %(id)s AND firmware_before IS NOT NULL LIMIT 1",
        {"id": found.id},
    ).fetchone()
    if touched:
        return None
    return CampaignError("untouched", "%(name)s has begun no terminal: there is nothing to roll back", name=found.name)


def _check_newer(conn: Connection, found: Campaign) -> None:
    """Two campaigns must not pull a terminal both ways. A draft begins nothing; whatever else lives may at any moment."""
    rows = conn.execute(
        "SELECT c.name, count(*) FROM firmware_rollout.assignment a"
        " JOIN firmware_rollout.assignment n ON n.terminal_id = a.terminal_id AND n.campaign_id > a.campaign_id"
        " JOIN firmware_rollout.campaign c ON c.id = n.campaign_id"
        " WHERE a.campaign_id = %(id)s AND a.firmware_before IS NOT NULL AND c.state = ANY(%(at_work)s)"
        " AND n.state NOT IN ('withdrawn', 'rolled_back') GROUP BY 1 ORDER BY 1",
        {"id": found.id, "at_work": [state.value for state in AT_WORK]},
    ).fetchall()
    if rows:
        named = ", ".join(f"{name} ({count:,})" for name, count in rows)
        raise CampaignError(
            "newer", "newer campaigns are at work on some of its terminals; abort or finish first: %(named)s", named=named
        )
