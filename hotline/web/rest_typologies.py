"""REST: typologies, their answers, and groups that may be new."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from diagnostics.typologies import candidates, store
from diagnostics.typologies.daily import day_of
from diagnostics.typologies.overview import Counts, overview
from hotline.roles import Right
from hotline.web.context import Web, web
from hotline.web.guards import ApiGuard, Caller
from hotline.web.problems import ProblemError

router = APIRouter(prefix="/api/v1", tags=["typologies"])

Program = Annotated[Web, Depends(web)]
Reading = Depends(ApiGuard(Right.READ))
Browsing = Depends(ApiGuard(Right.BROWSE))
Editing = Annotated[Caller, Depends(ApiGuard(Right.EDIT_TYPOLOGIES))]


class Texts(BaseModel):
    """A text in both languages; one that is empty is told in the other."""

    model_config = ConfigDict(extra="forbid")

    fr: str = Field("", max_length=4000)
    en: str = Field("", max_length=4000)


class TypologyOut(BaseModel):
    """A typology; `version` 0: no answer is attached."""

    id: int
    code: str | None
    state: str
    name: Texts
    description: Texts
    answer: Texts
    version: int
    answered_at: datetime | None
    signature: dict[str, Any]


class DaysOut(BaseModel):
    """A typology's things per day of Paris, oldest day first; `growing`: the kinds that grow on the last day."""

    typology: int | None
    days: list[str]
    incidents: list[int]
    symptoms: list[int]
    notes: list[int]
    growing: list[str]


class GroupOut(BaseModel):
    """A group of what matches no typology, and what its members share."""

    id: int
    kind: str
    size: int
    found_at: datetime
    shared: dict[str, Any]


class NewTypology(BaseModel):
    """What names a group."""

    model_config = ConfigDict(extra="forbid")

    name: Texts
    description: Texts = Field(default_factory=lambda: Texts(fr="", en=""))
    answer: Texts = Field(default_factory=lambda: Texts(fr="", en=""))


@router.get("/typologies", summary="Typologies in use, by name", dependencies=[Reading])
def get_typologies(program: Program) -> list[TypologyOut]:
    """Every typology in use with the answer that holds; there are some tens, so they come in one page."""
    with program.pool.connection() as conn:
        return [_out(one) for one in store.typologies(conn)]


@router.get("/typologies/days", summary="Typologies by day, and what grows", dependencies=[Reading])
def get_days(program: Program) -> list[DaysOut]:
    """The last four weeks of each typology, those that grow first; last, what is of none."""
    with program.pool.connection() as conn:
        return [_days(one) for one in overview(conn, last=day_of(program.now()))]


@router.get("/typologies/{typology}", summary="One typology", dependencies=[Reading])
def get_typology(typology: int, program: Program) -> TypologyOut:
    """One typology, whatever its state."""
    try:
        with program.pool.connection() as conn:
            return _out(store.typology(conn, typology))
    except store.TypologyError as error:
        raise ProblemError(404, str(error), field="typology") from None


@router.put("/typologies/{typology}/answer", summary="Attach an answer")
def put_answer(typology: int, answer: Texts, program: Program, caller: Editing) -> TypologyOut:
    """Attach an answer as a new version; the one that holds, again, changes nothing."""
    try:
        with program.pool.connection() as conn:
            store.typology(conn, typology)
            store.set_answer(conn, typology, answer=answer.model_dump(), actor=caller.name, now=program.now())
            return _out(store.typology(conn, typology))
    except store.TypologyError as error:
        raise ProblemError(404, str(error), field="typology") from None


@router.get("/typology-candidates", summary="Groups that may be new typologies", dependencies=[Browsing])
def get_candidates(program: Program) -> list[GroupOut]:
    """The groups that wait for the veille, the largest first."""
    with program.pool.connection() as conn:
        return [GroupOut.model_validate(one, from_attributes=True) for one in candidates.offered(conn)]


@router.post("/typology-candidates/{candidate}/name", status_code=201, summary="Make a group a typology")
def name_candidate(candidate: int, new: NewTypology, program: Program, caller: Editing) -> TypologyOut:
    """Name a group; its members are the new typology's first."""
    try:
        with program.pool.connection() as conn:
            made = candidates.name_candidate(
                conn,
                candidate,
                name=new.name.model_dump(),
                description=new.description.model_dump(),
                answer=new.answer.model_dump(),
                actor=caller.name,
                now=program.now(),
            )
            return _out(store.typology(conn, made))
    except store.TypologyError as error:
        raise ProblemError(422 if error.field == "name" else 404, str(error), field=error.field) from None


def _out(one: store.Typology) -> TypologyOut:
    return TypologyOut(
        id=one.id,
        code=one.code,
        state=one.state,
        name=Texts(fr=one.name_fr, en=one.name_en),
        description=Texts(fr=one.description_fr, en=one.description_en),
        answer=Texts(fr=one.answer_fr, en=one.answer_en),
        version=one.version,
        answered_at=one.answered_at,
        signature=one.signature,
    )


def _days(one: Counts) -> DaysOut:
    incidents, symptoms, notes = (one.by_kind[kind].astype(int).tolist() for kind in ("incident", "symptom", "note"))
    return DaysOut(
        typology=one.typology.id if one.typology else None,
        days=[day.isoformat() for day in one.days],
        incidents=incidents,
        symptoms=symptoms,
        notes=notes,
        growing=one.growing,
    )
