"""What the REST API answers with; the shapes are part of the contract with programs, so they stand apart from our own."""

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Generic, TypeVar

from pydantic import BaseModel, Field

from diagnostics.health import Health
from firmware_rollout.status import RolloutStatus
from fleet.registry import PointOfSale, Terminal
from hotline.call_legs import LegKind, Outcome
from hotline.floors import Floor
from hotline.masking import Viewer, number_for_programs
from hotline.pop import TerminalView
from hotline.stored_call import StoredCall
from hotline.stored_legs import Leg
from hotline.web.problems import ProblemError
from hotline.web.rest_incident_models import IncidentOut, incident_out

Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    """A page of a list; `next` is the cursor of the following one, null on the last."""

    items: list[Item]
    next: str | None = Field(None, description="Pass as `cursor` to get the following page.")


class PointOfSaleOut(BaseModel):
    """A shop."""

    code: str
    name: str
    department: str
    region: str
    agency: str
    timezone: str
    opening_hours: str
    phones: list[str]


class TerminalOut(BaseModel):
    """A terminal's place in the registry."""

    id: str
    point_of_sale: str
    model: str
    hw: str
    firmware: str
    access: str
    carrier: str
    lot: str
    department: str
    region: str
    agency: str


class ReasonOut(BaseModel):
    """Why a terminal is in its state."""

    code: str
    since: datetime
    value: float | None


class HealthOut(BaseModel):
    """How a terminal is; `judged_at` null: never judged."""

    state: str
    since: datetime
    judged_at: datetime | None
    reasons: list[ReasonOut]


class PresenceOut(BaseModel):
    """Whether a terminal is connected, and since when it is or is not."""

    online: bool
    since: datetime


class SampleOut(BaseModel):
    """The newest sample, and how old it is."""

    at: datetime
    received_at: datetime
    age_s: float
    figures: dict[str, float]


class RolloutOut(BaseModel):
    """Where the firmware rollout stands at a terminal."""

    status: str
    campaign: str | None
    target: str | None
    wave: int | None
    planned_at: datetime | None
    since: datetime | None
    reported: str | None
    due: bool
    campaign_state: str | None
    finding: str
    arm: str | None
    verdict: str | None
    blamed: list[str]
    why: str
    back_to: str | None


class TerminalDetail(BaseModel):
    """All there is to know of a terminal now."""

    terminal: TerminalOut
    presence: PresenceOut | None
    health: HealthOut
    last_sample: SampleOut | None
    incidents: list[IncidentOut]
    rollout: RolloutOut


class PointOfSaleDetail(BaseModel):
    """A shop with its terminals, worst first."""

    point_of_sale: PointOfSaleOut
    open: bool
    terminals: list[TerminalDetail]


class CallOut(BaseModel):
    """A call; `number` is the shop's side of it, E.164 where it could be read; the overflow floor gets its end only."""

    id: int
    call_id: str
    direction: str | None
    state: str
    number: str
    queue: str
    rang_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    cause: str
    answered_by: str | None
    point_of_sale: str | None
    candidates: list[str]


class LegOut(BaseModel):
    """A part of a call: a wait in a queue, or what an agent had of it; times are when Vigie heard of it."""

    number: int
    kind: LegKind
    level: int
    floor: Floor
    queue: str
    agent: str | None
    began_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    wrapped_at: datetime | None
    held_s: float
    outcome: Outcome | None


class CallDetail(CallOut):
    """A call with its legs, in order."""

    legs: list[LegOut]


def point_out(shop: PointOfSale, *, viewer: Viewer) -> PointOfSaleOut:
    """A shop for programs; its numbers as the viewer may have them."""
    out = PointOfSaleOut.model_validate(shop, from_attributes=True)
    return out.model_copy(update={"phones": [number_for_programs(phone, viewer=viewer) for phone in shop.phones]})


def terminal_out(terminal: Terminal) -> TerminalOut:
    """A terminal for programs."""
    return TerminalOut.model_validate(terminal, from_attributes=True)


def detail_out(view: TerminalView, *, now: datetime, language: str) -> TerminalDetail:
    """A terminal with all that is known of it, for programs."""
    reading, presence = view.reading, view.presence
    return TerminalDetail(
        terminal=terminal_out(view.terminal),
        presence=PresenceOut(online=presence.online, since=presence.changed_at) if presence else None,
        health=_health_out(view.health),
        last_sample=SampleOut(
            at=reading.at,
            received_at=reading.received_at,
            age_s=round((now - reading.at).total_seconds(), 1),
            figures=dict(reading.figures),
        )
        if reading
        else None,
        incidents=[incident_out(incident, language) for incident in view.incidents],
        rollout=_rollout_out(view.rollout),
    )


def call_out(call: StoredCall, *, viewer: Viewer) -> CallOut:
    """A call for programs; its numbers as the viewer may have them."""
    return CallOut(
        id=call.id,
        call_id=call.call_id,
        direction=call.direction,
        state=call.state,
        number=number_for_programs(call.number, viewer=viewer),
        queue=call.queue,
        rang_at=call.rang_at,
        answered_at=call.answered_at,
        ended_at=call.ended_at,
        cause=call.cause,
        answered_by=call.answered_by_name or number_for_programs(call.answered_as, viewer=viewer) or None,
        point_of_sale=call.point_of_sale,
        candidates=call.candidates,
    )


def call_detail_out(call: StoredCall, legs: Sequence[Leg], *, viewer: Viewer) -> CallDetail:
    """A call with its legs, for programs."""
    parts = [
        LegOut(
            number=leg.number,
            kind=leg.kind,
            level=leg.level,
            floor=leg.floor,
            queue=leg.queue,
            agent=leg.agent_name or number_for_programs(leg.agent_as, viewer=viewer) or None,
            began_at=leg.began_at,
            answered_at=leg.answered_at,
            ended_at=leg.ended_at,
            wrapped_at=leg.wrapped_at,
            held_s=leg.held_s,
            outcome=leg.outcome,
        )
        for leg in legs
    ]
    return CallDetail(**call_out(call, viewer=viewer).model_dump(), legs=parts)


def page_of(items: Sequence[Item], *, limit: int, last_key: str) -> Page[Item]:
    """A page from one item more than it holds; `last_key` names the attribute the list is ordered by."""
    shown = list(items[:limit])
    more = len(items) > limit
    return Page(items=shown, next=to_cursor(str(getattr(shown[-1], last_key))) if more else None)


def to_cursor(key: str) -> str:
    """A cursor: opaque to programs, so that its meaning can change."""
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def from_cursor(cursor: str) -> str:
    """The key a cursor stands for; a problem where it is none of ours."""
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise ProblemError(422, "not a cursor of ours", field="cursor") from None


def _health_out(health: Health) -> HealthOut:
    return HealthOut(
        state=health.state,
        since=health.since,
        judged_at=health.judged_at,
        reasons=[ReasonOut(code=reason.code, since=reason.since, value=reason.value) for reason in health.reasons],
    )


def _rollout_out(status: RolloutStatus) -> RolloutOut:
    return RolloutOut(
        status=status.kind,
        campaign=status.campaign,
        target=status.target,
        wave=status.wave,
        planned_at=status.planned_at,
        since=status.since,
        reported=status.reported,
        due=status.due,
        campaign_state=status.campaign_state,
        finding=status.finding,
        arm=status.arm,
        verdict=status.verdict,
        blamed=list(status.blamed),
        why=status.why,
        back_to=status.back_to,
    )
