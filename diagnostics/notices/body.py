"""What a notice says: the JSON of the webhook, stored with the notice so that every attempt sends the same.

`docs/notice.schema.json` is the schema of `Body`; a test holds it to this module.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from diagnostics.notices.policy import Event, Verdict
from diagnostics.troubles import TROUBLES, Trouble
from diagnostics.typography import LANGUAGES
from diagnostics.wording import advice, likely_cause, scope_in_words, title, why_sentences
from fleet.errors import VigieError

VERSION = 1
Count = Annotated[int, Meta(ge=0)]
Moment = Annotated[datetime, Meta(tz=True)]


class Text(msgspec.Struct, frozen=True):
    """A text in French and in English; what a person wrote is the same in both."""

    fr: str
    en: str


class Sentences(msgspec.Struct, frozen=True):
    """Sentences in French and in English."""

    fr: list[str]
    en: list[str]


class Part(msgspec.Struct, frozen=True):
    """An incident that is part of the one told."""

    id: int
    title: Text


class About(msgspec.Struct, frozen=True, kw_only=True):
    """An incident as it was when the notice was made. Times are ISO 8601, UTC."""

    id: int
    state: Literal["open", "acknowledged", "clearing", "closed"]
    trouble: Annotated[str | None, Meta(description=f"One of {', '.join(TROUBLES)}; null: declared by a person.")]
    title: Text
    scope: Annotated[dict[str, str], Meta(description="Conditions that hold together; empty: the whole fleet.")]
    scope_in_words: Text
    likely_cause: Text | None
    why: Sentences
    advice: Annotated[Text, Meta(description="What agents tell shopkeepers.")]
    began_at: Moment
    opened_at: Moment
    acknowledged_at: Moment | None
    acknowledged_by: str | None
    closed_at: Moment | None
    terminals: Annotated[Count, Meta(description="Terminals it touches.")]
    hits: Annotated[Count, Meta(description="Terminals that show it now.")]
    worst_hits: Annotated[Count, Meta(description="Terminals that showed it at the worst.")]
    reopened: Annotated[Count, Meta(description="How often it came back.")]
    flapping: Annotated[bool, Meta(description="It comes and goes; it is told again only when it is over.")]
    parent: Annotated[int | None, Meta(description="The wider incident that it is part of.")]
    children: Annotated[list[Part], Meta(description="Incidents that are part of it and are not told by themselves.")]


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """One notice; fields may be added, none changes its meaning within a version."""

    version: Annotated[int, Meta(ge=VERSION, le=VERSION)]
    notice: Annotated[str, Meta(description="The same at every attempt: what was received before may be passed over.")]
    kind: Annotated[str, Meta(description=f"What happened: one of {', '.join(Event)}, or test.")]
    reason: Annotated[str, Meta(description="Why it is told: first, changed or over.")]
    at: Annotated[datetime, Meta(tz=True, description="When it happened.")]
    actor: Annotated[str, Meta(description="Who did it; watch: Vigie itself.")]
    comment: Annotated[str, Meta(description="What that person said, or nothing.")]
    incident: Annotated[About | None, Meta(description="Null in a test.")]
    url: Annotated[str | None, Meta(description="The incident's page, where the console's address is set.")] = None


class NoticeError(VigieError):
    """A stored notice cannot be read."""


def about(row: Mapping[str, Any], *, children: Sequence[Mapping[str, Any]]) -> About:
    """The incident of a row of `diagnostics.incident` with `terminals` counted, and the rows of its children."""
    trouble = None if row["trouble"] is None else Trouble(row["trouble"])
    scope = row["scope"]
    said = {language: why_sentences(row["evidence"], language, trouble=trouble) for language in LANGUAGES}
    written = row["advice"]
    return About(
        id=row["id"],
        state=row["state"],
        trouble=trouble,
        title=title_of(row),
        scope=scope,
        scope_in_words=Text(**{language: scope_in_words(scope, language) for language in LANGUAGES}),
        likely_cause=None
        if trouble is None
        else Text(**{language: likely_cause(trouble, scope, language) for language in LANGUAGES}),
        why=Sentences(**said),
        # What a person wrote for this incident comes before what is said of its kind.
        advice=Text(**{language: written or (advice(trouble, language) if trouble is not None else "") for language in LANGUAGES}),
        children=[Part(id=child["id"], title=title_of(child)) for child in children],
        parent=row["parent_id"],
        flapping=row["latched"],
        **{name: row[name] for name in _AS_THEY_ARE},
    )


_AS_THEY_ARE = (
    "began_at",
    "opened_at",
    "acknowledged_at",
    "acknowledged_by",
    "closed_at",
    "terminals",
    "hits",
    "worst_hits",
    "reopened",
)


def title_of(row: Mapping[str, Any]) -> Text:
    """A person's title as it was written, else the trouble and its scope in words."""
    if row["title"] or row["trouble"] is None:
        return Text(fr=row["title"], en=row["title"])
    trouble = Trouble(row["trouble"])
    return Text(**{language: title(trouble, row["scope"], language) for language in LANGUAGES})


def make(*, notice: str, event: Event, verdict: Verdict, at: datetime, actor: str, comment: str, incident: About | None) -> Body:
    """The body of a notice that is told of an event."""
    return Body(version=VERSION, notice=notice, kind=event, reason=verdict, at=at, actor=actor, comment=comment, incident=incident)


def trial(*, notice: str, at: datetime, actor: str) -> Body:
    """The body of a test; it tells of no incident."""
    return Body(version=VERSION, notice=notice, kind="test", reason="test", at=at, actor=actor, comment="", incident=None)


def to_json(body: Body) -> Any:
    """What a jsonb column takes."""
    return msgspec.to_builtins(body)


def from_json(stored: Any) -> Body:
    """The body of a stored notice; `NoticeError` where another release made it in another form."""
    try:
        return msgspec.convert(stored, Body)
    except msgspec.ValidationError as error:
        raise NoticeError(f"a notice stored by another release cannot be read: {error}") from None


def schema() -> dict[str, Any]:
    """The JSON schema of a body."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(Body)}
