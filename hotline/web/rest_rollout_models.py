"""What the REST API answers of the firmware rollout; the shapes are part of the contract with programs."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from firmware_rollout.attempts import Asked, Member
from firmware_rollout.audit import Entry
from firmware_rollout.campaigns import Campaign
from firmware_rollout.deeds import Deed
from firmware_rollout.gate.judging import Reading
from firmware_rollout.releases import Release
from hotline.masking import Viewer, shown_text
from hotline.rollout_page import WaveView


class CampaignOut(BaseModel):
    """A campaign; `terminals` counts them by state, `possible` is what can be done to it."""

    id: int
    name: str
    release: str
    target: dict[str, list[str]]
    state: str
    reason: str
    state_since: datetime
    seed: int
    created_at: datetime
    created_by: str
    approved_by: str | None
    terminals: dict[str, int]
    possible: list[str]


class WaveOut(BaseModel):
    """A wave; `share_pct`: of the shops, how many percent it and those before it reach."""

    number: int
    share_pct: float
    planned_at: datetime
    opened_at: datetime | None
    passed_at: datetime | None
    terminals: dict[str, int]
    in_flight: int
    asked: int
    in_vain: int
    tried_again: int


class CampaignDetail(CampaignOut):
    """A campaign with its waves and the policy that it follows."""

    policy: dict[str, Any]
    waves: list[WaveOut]


class MetricOut(BaseModel):
    """What a reading says of one metric; logarithms are natural, `ratio` null as long as the control group has no event."""

    metric: str
    measured: bool
    log_e: float
    log_threshold: float
    ratio: float | None
    observed: int
    expected: float


class ReadingOut(BaseModel):
    """A judgement of the gate."""

    id: int
    at: datetime
    wave: int
    verdict: str
    reasons: list[dict[str, Any]]
    metrics: list[MetricOut]


class MemberOut(BaseModel):
    """A terminal of a campaign."""

    terminal_id: str
    point_of_sale: str
    wave: int
    state: str
    since: datetime
    attempts: int
    reason: str


class AnswerOut(BaseModel):
    """A device's word, in the device API's words."""

    at: datetime
    execution: str
    finished: str
    progress: int | None
    code: int | None
    details: list[str]


class FirmwareActionOut(BaseModel):
    """What was asked of a terminal, and how it came out."""

    id: int
    campaign_id: int
    campaign: str
    kind: str
    release: str
    attempt: int
    state: str
    outcome: str | None
    opened_at: datetime
    retrieved_at: datetime | None
    told_at: datetime | None
    closed_at: datetime | None
    stage: str
    progress: int | None
    detail: str
    answers: list[AnswerOut]


class ReleaseOut(BaseModel):
    """A release; the file's facts are null where it was only declared, `hw` is empty where any hardware does."""

    version: str
    models: list[str]
    hw: list[str]
    notes: str
    added_at: datetime
    filename: str | None
    length: int | None
    sha256: str | None
    sha1: str | None
    withdrawn_at: datetime | None
    withdrawn_why: str


class AuditEntryOut(BaseModel):
    """A row of the rollout's audit; `details` is canonical JSON, whose bytes are hashed."""

    number: int
    at: datetime
    actor: str
    deed: str
    campaign_id: int | None
    details: str
    before_hash: str
    hash: str


class ChainOut(BaseModel):
    """How far the audit's chain holds; `bad`: the first row that does not follow, `reading`: the first reading that is not what the
    audit says of it, null where all are.
    """

    rows: int
    bad: int | None
    head: str
    reading: int | None


class NewCampaign(BaseModel):
    """What drafts a campaign."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=100)
    release: str = Field(max_length=24)
    target: dict[str, str | list[str]] = Field(
        default_factory=dict, description="Dimension and value, or values of which one is enough; empty: the whole fleet."
    )
    seed: int = Field(1, ge=0, lt=2**62, description="What the shops are drawn with; the same seed gives the same waves.")
    begins: datetime | None = Field(None, description="Not before, with its offset from UTC.")
    policy: dict[str, Any] = Field(default_factory=dict, description="What differs from the default policy.")


class Why(BaseModel):
    """Why it is done."""

    model_config = ConfigDict(extra="forbid")

    why: str = Field("", max_length=500)


def campaign_out(one: Campaign, *, deeds: Sequence[Deed], viewer: Viewer) -> CampaignOut:
    """A campaign for programs."""
    return CampaignOut(
        id=one.id,
        name=one.name,
        release=one.release,
        target=one.target,
        state=one.state,
        reason=shown_text(one.reason, viewer=viewer),
        state_since=one.state_since,
        seed=one.seed,
        created_at=one.created_at,
        created_by=one.created_by,
        approved_by=one.approved_by or None,
        terminals={state.value: count for state, count in one.states.items()},
        possible=[deed.value for deed in deeds],
    )


def campaign_detail(one: Campaign, waves: list[WaveView], *, deeds: Sequence[Deed], viewer: Viewer) -> CampaignDetail:
    """A campaign with its waves, for programs."""
    told = [
        WaveOut(
            number=view.wave.number,
            share_pct=view.wave.share_pct,
            planned_at=view.wave.planned_at,
            opened_at=view.wave.opened_at,
            passed_at=view.wave.passed_at,
            terminals={state.value: count for state, count in view.wave.states.items()},
            **view.attempts._asdict(),
        )
        for view in waves
    ]
    return CampaignDetail(**campaign_out(one, deeds=deeds, viewer=viewer).model_dump(), policy=json.loads(one.policy), waves=told)


def reading_out(id_: int, at: datetime, reading: Reading) -> ReadingOut:
    """A judgement for programs."""
    threshold = reading.policy.log_threshold
    return ReadingOut(
        id=id_,
        at=at,
        wave=reading.situation.wave,
        verdict=reading.verdict,
        reasons=[{"why": one.why, "metric": one.metric, "value": one.value, "needed": one.needed} for one in reading.reasons],
        metrics=[
            MetricOut(
                metric=one.metric,
                measured=one.cells is not None,
                log_e=one.log_e,
                log_threshold=threshold,
                ratio=one.ratio,
                observed=one.after.observed,
                expected=one.after.expected,
            )
            for one in reading.metrics
        ],
    )


def member_out(one: Member) -> MemberOut:
    """A campaign's terminal for programs."""
    return MemberOut(**one._asdict())


def firmware_action_out(one: Asked) -> FirmwareActionOut:
    """What was asked of a terminal, for programs."""
    known = {name: value for name, value in one._asdict().items() if name not in ("answers", "campaign_state")}
    return FirmwareActionOut(**known, answers=[AnswerOut(**answer._asdict()) for answer in one.answers])


def release_out(one: Release) -> ReleaseOut:
    """A release for programs."""
    file = one.file
    return ReleaseOut(
        version=one.version,
        models=one.models,
        hw=one.hw,
        notes=one.notes,
        added_at=one.added_at,
        filename=file.filename if file else None,
        length=file.length if file else None,
        sha256=file.sha256 if file else None,
        sha1=file.sha1 if file else None,
        withdrawn_at=one.withdrawn_at,
        withdrawn_why=one.withdrawn_why,
    )


def entry_out(one: Entry) -> AuditEntryOut:
    """A row of the audit for programs; as it is hashed, so that they can follow the chain themselves."""
    return AuditEntryOut(
        number=one.number,
        at=one.at,
        actor=one.actor,
        deed=one.deed,
        campaign_id=one.campaign_id,
        details=one.details,
        before_hash=one.before_hash.hex(),
        hash=one.hash.hex(),
    )
