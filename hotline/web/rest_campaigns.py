"""REST: campaigns, their terminals and the gate's readings, and what people do to them.

Programs may read, and pause, halt or abort. What brings firmware to terminals (drafting, approving, resuming, letting a wave pass,
rolling back) is for people who have signed in: whoever holds a token could else be both persons whom a campaign needs.
"""

from datetime import datetime
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Depends, Query

from firmware_rollout.attempts import asked_of, attempts_by_wave, members_after
from firmware_rollout.audit import entries_of, verify
from firmware_rollout.campaigns import Campaign, CampaignError, Wave, create_campaign, list_campaigns, progress
from firmware_rollout.deeds import Deed, do, possible_now
from firmware_rollout.gate.policy import PolicyError
from firmware_rollout.gate_story import readings_before
from firmware_rollout.policy import Policy, read_policy
from firmware_rollout.states import State
from fleet import registry
from fleet.database import Connection
from fleet.scope import ScopeError
from hotline.roles import Right
from hotline.rollout_page import NOBODY, WaveView, campaign_by_id
from hotline.web.context import Web, web
from hotline.web.guards import ApiGuard, Caller
from hotline.web.problems import ProblemError
from hotline.web.rest_models import Page, from_cursor, page_of
from hotline.web.rest_rollout_models import (
    AuditEntryOut,
    CampaignDetail,
    CampaignOut,
    ChainOut,
    FirmwareActionOut,
    MemberOut,
    NewCampaign,
    ReadingOut,
    Why,
    campaign_detail,
    campaign_out,
    entry_out,
    firmware_action_out,
    member_out,
    reading_out,
)

router = APIRouter(prefix="/api/v1", tags=["campaigns"])

Program = Annotated[Web, Depends(web)]
Reading = Annotated[Caller, Depends(ApiGuard(Right.SEE_ROLLOUT))]
Acting = Annotated[Caller, Depends(ApiGuard(Right.MANAGE_ROLLOUT))]
Limit = Annotated[int, Query(ge=1, le=500)]
BY_PROGRAMS: Final = frozenset({Deed.PAUSE, Deed.HALT, Deed.ABORT})


@router.get("/campaigns", summary="Campaigns, newest first")
def get_campaigns(*, program: Program, caller: Reading, cursor: str | None = None, limit: Limit = 100) -> Page[CampaignOut]:
    """Every campaign, page by page."""
    before = _number(cursor)
    with program.pool.connection() as conn:
        found = [one for one in list_campaigns(conn) if before is None or one.id < before][: limit + 1]
        told = [campaign_out(one, deeds=possible_now(conn, one), viewer=caller) for one in found]
    return page_of(told, limit=limit, last_key="id")


@router.get("/campaigns/{campaign}", summary="One campaign with its waves")
def get_campaign(campaign: int, program: Program, caller: Reading) -> CampaignDetail:
    """One campaign, whatever its state."""
    with program.pool.connection() as conn:
        return _detail(conn, _find(conn, campaign), caller)


@router.get("/campaigns/{campaign}/terminals", summary="Its terminals", dependencies=[Depends(ApiGuard(Right.SEE_ROLLOUT))])
def get_members(
    *, campaign: int, program: Program, state: State | None = None, cursor: str | None = None, limit: Limit = 100
) -> Page[MemberOut]:
    """The campaign's terminals by id, page by page."""
    after = from_cursor(cursor) if cursor else ""
    with program.pool.connection() as conn:
        id_ = _find(conn, campaign).id
        found = members_after(conn, id_, terminal_id=after, states=[state] if state else None, limit=limit + 1)
    return page_of([member_out(one) for one in found], limit=limit, last_key="terminal_id")


@router.get("/campaigns/{campaign}/readings", summary="What the gate read", dependencies=[Depends(ApiGuard(Right.SEE_ROLLOUT))])
def get_readings(*, campaign: int, program: Program, cursor: str | None = None, limit: Limit = 100) -> Page[ReadingOut]:
    """The gate's judgements, newest first."""
    with program.pool.connection() as conn:
        found = readings_before(conn, _find(conn, campaign).id, before=_number(cursor), limit=limit + 1)
    return page_of([reading_out(*one) for one in found], limit=limit, last_key="id")


@router.post("/campaigns", status_code=201, summary="Draft a campaign")
def post_campaign(new: NewCampaign, program: Program, caller: Acting) -> CampaignDetail:
    """Draft a campaign; it begins once a second person approves it."""
    _by_a_person(caller, "draft a campaign")
    try:
        policy = _policy(new)
        with program.pool.connection() as conn:
            made = create_campaign(
                conn,
                name=new.name,
                release=new.release,
                where=new.target,
                seed=new.seed,
                actor=caller.name,
                now=program.now(),
                policy=policy,
                waves=_waves(new.begins, policy),
            )
            return _detail(conn, made, caller)
    except ScopeError as error:
        raise ProblemError(422, str(error), field=f"target.{error.field}") from None
    except PolicyError as error:
        raise ProblemError(422, str(error), field=f"policy.{error.field}") from None
    except CampaignError as error:
        raise ProblemError(422, str(error), field={"where": "target", "wave": "begins"}.get(error.field, error.field)) from None


@router.post("/campaigns/{campaign}/{deed}", summary="Approve, pause, resume, let pass, halt, abort or roll back")
def post_deed(*, campaign: int, deed: Deed, program: Program, caller: Acting, why: Why | None = None) -> CampaignDetail:
    """Do it, with its reason; 409 where the campaign's state, or who asks, does not allow it."""
    if deed not in BY_PROGRAMS:
        _by_a_person(caller, f"{deed} a campaign")
    with program.pool.connection() as conn:
        found = _find(conn, campaign)
        try:
            done = do(conn, found.name, deed, actor=actor_of(caller), why=why.why if why else "", now=program.now())
        except CampaignError as error:
            raise ProblemError(422 if error.field == "why" else 409, str(error), field=error.field) from None
        return _detail(conn, done, caller)


@router.get(
    "/terminals/{terminal_id}/firmware-actions",
    summary="Its firmware history",
    dependencies=[Depends(ApiGuard(Right.SEE_ROLLOUT))],
)
def get_firmware_actions(
    *, terminal_id: str, program: Program, cursor: str | None = None, limit: Limit = 100
) -> Page[FirmwareActionOut]:
    """What the terminal was asked, newest first, with its answers."""
    with program.pool.connection() as conn:
        if registry.terminal(conn, terminal_id) is None:
            raise ProblemError(404, f"no terminal {terminal_id}", field="terminal_id")
        found = asked_of(conn, terminal_id, before=_number(cursor), limit=limit + 1)
    return page_of([firmware_action_out(one) for one in found], limit=limit, last_key="id")


@router.get("/rollout-audit-entries", summary="The rollout's audit", dependencies=[Depends(ApiGuard(Right.SEE_ROLLOUT))])
def get_entries(
    *, program: Program, campaign: int | None = None, cursor: str | None = None, limit: Limit = 100
) -> Page[AuditEntryOut]:
    """Rows newest first, of one campaign or of all, as they are hashed."""
    with program.pool.connection() as conn:
        found = entries_of(conn, campaign, before=_number(cursor), limit=limit + 1)
    return page_of([entry_out(one) for one in found], limit=limit, last_key="number")


@router.get("/rollout-audit-entries/chain", summary="Whether it holds", dependencies=[Depends(ApiGuard(Right.SEE_ROLLOUT))])
def get_chain(program: Program) -> ChainOut:
    """Follow the whole chain as it is stored."""
    with program.pool.connection() as conn:
        found = verify(conn)
    return ChainOut(rows=found.rows, bad=found.bad, head=found.head.hex(), reading=found.reading)


def _policy(new: NewCampaign) -> Policy:
    """The default policy with what the request changes, the gate's part by part."""
    default = msgspec.to_builtins(Policy())
    given = dict(new.policy)
    gate = given.pop("gate", {})
    if not isinstance(gate, dict):
        raise PolicyError("gate", "an object with what differs from the default")
    return read_policy(msgspec.json.encode({**default, **given, "gate": {**default["gate"], **gate}}))


def _waves(begins: datetime | None, policy: Policy) -> list[Wave]:
    if begins is None:
        return []
    if begins.tzinfo is None:
        raise ProblemError(422, "needs an offset from UTC, as in 2026-11-23T10:00:00Z", field="begins")
    return [Wave(begins, share) for share in policy.shares_pct]


def actor_of(caller: Caller) -> str:
    """A person's login, or a token's name as the audit writes it: no token passes for a person of its name."""
    return caller.name if caller.agent else f"[{caller.name}]"


def _by_a_person(caller: Caller, what: str) -> None:
    if caller.agent is None:
        raise ProblemError(409, f"programs cannot {what}: a person who has signed in does", field="actor")


def _find(conn: Connection, campaign: int) -> Campaign:
    try:
        return campaign_by_id(conn, campaign)
    except CampaignError as error:
        raise ProblemError(404, str(error), field="campaign") from None


def _detail(conn: Connection, found: Campaign, caller: Caller) -> CampaignDetail:
    attempts = attempts_by_wave(conn, found.id)
    waves = [WaveView(wave, attempts.get(wave.number, NOBODY)) for wave in progress(conn, found.id)]
    return campaign_detail(found, waves, deeds=possible_now(conn, found), viewer=caller)


def _number(cursor: str | None) -> int | None:
    """The number that a cursor stands for; None: from the newest."""
    if cursor is None:
        return None
    key = from_cursor(cursor)
    if not key.isascii() or not key.isdigit() or len(key) > 18:
        raise ProblemError(422, "not a cursor of ours", field="cursor")
    return int(key)
