"""What the REST API answers with about incidents and announced maintenance; part of the contract with programs.

Titles, advice and causes are words: they come in the language that `Accept-Language` prefers, French where it names none of ours.
"""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Request
from pydantic import BaseModel, Field

from diagnostics import wording
from diagnostics.incident_views import HitTerminal
from diagnostics.incidents import Incident, IncidentEvent, Minute, SilentVictim
from diagnostics.maintenance_store import Maintenance
from hotline import incident_words, translations
from hotline.masking import Viewer, shown_text
from hotline.words import Translate


def _asked_language(request: Request) -> str:
    return translations.preferred(request.headers.get("Accept-Language", ""))


Language = Annotated[str, Depends(_asked_language)]


class IncidentOut(BaseModel):
    """An incident; an empty scope is the whole fleet."""

    id: int
    state: str = Field(description="`open`, `acknowledged`, `clearing` or `closed`.")
    trouble: str | None = Field(description="What is wrong, as a code; null where a person declared it.")
    title: str
    cause: str = Field(description="The likely cause in words; empty where a person declared it.")
    advice: str = Field(description="What to say to shopkeepers.")
    scope: dict[str, str]
    began_at: datetime = Field(description="The first sign.")
    opened_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    clearing_at: datetime | None
    closed_at: datetime | None
    terminals: int = Field(description="Terminals in its scope.")
    hits: int = Field(description="Of these, show it now.")
    worst_hits: int = Field(description="Showed it at the worst moment.")
    reopened: int = Field(description="How often it came back.")
    latched: bool = Field(description="It comes and goes: it stays open until it stays away.")
    muted: bool = Field(description="Under announced maintenance: told to nobody.")
    parent_id: int | None = Field(description="The wider incident it is part of, or was merged into.")


class IncidentDetail(IncidentOut):
    """An incident with the evidence for it."""

    children: list[int] = Field(description="The incidents that are part of it.")
    why: list[str] = Field(description="The evidence in words, the weightiest first.")
    evidence: dict[str, Any] = Field(description="The evidence in figures; empty where a person declared it.")


class EventOut(BaseModel):
    """One step of an incident's life."""

    id: int
    at: datetime
    kind: str
    actor: str = Field(description="A login, a token's name, or `watch`: Vigie itself.")
    text: str = Field(description="The step in words.")
    detail: str = Field(description="What a person said.")
    data: dict[str, Any]


class HitTerminalOut(BaseModel):
    """A terminal that an incident touches; `hit_at` null: it is only in its scope."""

    terminal_id: str
    point_of_sale: str
    shop: str
    department: str
    hit_at: datetime | None
    rang: bool = Field(description="Its shop has rung since the incident began.")


class SilentVictimOut(BaseModel):
    """A shop that is hit and has not rung."""

    point_of_sale: str
    shop: str
    department: str
    terminals: int
    since: datetime


class MinuteOut(BaseModel):
    """One minute: how many terminals showed it of those judged, inside the scope and outside; mean deviations of metrics."""

    at: datetime
    inside_hit: float
    inside: float
    outside_hit: float
    outside: float
    z: dict[str, list[float]] = Field(description="Metric to [inside, outside], in standard deviations from each terminal's usual.")


class MaintenanceOut(BaseModel):
    """Announced work; an empty scope is the whole fleet."""

    id: int
    scope: dict[str, str]
    starts_at: datetime
    ends_at: datetime
    note: str
    actor: str
    announced_at: datetime
    cancelled_at: datetime | None
    cancelled_by: str | None


def incident_out(incident: Incident, language: str) -> IncidentOut:
    """An incident for programs."""
    return IncidentOut.model_validate(_told(incident, language))


def incident_detail(incident: Incident, language: str, *, children: list[int]) -> IncidentDetail:
    """An incident with its evidence, for programs."""
    told = _told(incident, language)
    return IncidentDetail.model_validate(
        {**told, "children": children, "why": incident_words.why(incident, language), "evidence": incident.evidence}
    )


def event_out(event: IncidentEvent, language: str, *, translate: Translate, viewer: Viewer) -> EventOut:
    """A step for programs; telephone numbers in what a person said as the viewer may have them."""
    text = incident_words.event_text(event, translate=translate, language=language)
    detail = shown_text(event.detail, viewer=viewer)
    return EventOut(id=event.id, at=event.at, kind=event.kind, actor=event.actor, text=text, detail=detail, data=event.data)


def hit_terminal_out(one: HitTerminal) -> HitTerminalOut:
    """A terminal for programs."""
    return HitTerminalOut.model_validate(one, from_attributes=True)


def silent_out(one: SilentVictim) -> SilentVictimOut:
    """A silent shop for programs."""
    return SilentVictimOut.model_validate(one, from_attributes=True)


def minute_out(one: Minute) -> MinuteOut:
    """A minute for programs."""
    return MinuteOut.model_validate(one, from_attributes=True)


def maintenance_out(one: Maintenance) -> MaintenanceOut:
    """Announced work for programs."""
    return MaintenanceOut.model_validate(one, from_attributes=True)


def _told(incident: Incident, language: str) -> dict[str, Any]:
    words = {
        "title": incident_words.incident_title(incident, language),
        "cause": incident_words.likely_cause(incident, language),
        "advice": incident.advice or (wording.advice(incident.trouble, language) if incident.trouble else ""),
    }
    known = {name: getattr(incident, name) for name in IncidentOut.model_fields if name not in words}
    return {**known, **words}
