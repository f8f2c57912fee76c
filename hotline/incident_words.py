"""The words in which the console speaks of incidents: their states, the steps of their lives, what they are called.

Title, cause and advice come from `diagnostics.wording`, which also words what leaves the house; a title or advice that a person
gave stands as it was given.
"""

from collections.abc import Mapping
from typing import Any, Final

from diagnostics import wording
from diagnostics.incidents import WATCH_ACTOR, Incident, IncidentEvent
from diagnostics.troubles import Trouble
from diagnostics.typography import in_language
from hotline.translations import mark as _
from hotline.words import DIMENSIONS, Translate, quantity

STATES: Final[Mapping[str, str]] = {
    "open": _("open"),
    "acknowledged": _("taken on"),
    "clearing": _("clearing"),
    "closed": _("over"),
}

# What happened, by kind of event; figures and names come from the event's data.
EVENTS: Final[Mapping[str, str]] = {
    "declared": _("declared: %(terminals)s terminals in its scope"),
    "opened": _("found: %(hits)s terminals hit"),
    "grew": _("it grows: %(hits)s terminals hit"),
    "scope": _("its scope is known better: %(to)s; before, %(from)s"),
    "acknowledged": _("taken on"),
    "commented": _("comment"),
    "clearing": _("it clears: hardly any terminal shows it now"),
    "flapping": _("it comes and goes: it stays open until it stays away"),
    "closed": _("over: no terminal has shown it for a while"),
    "resolved": _("resolved"),
    "reopened": _("open again"),
    "joined": _("%(terminals)s more terminals in its scope"),
    "merged": _("merged into incident %(into)s"),
    "parent": _("part of incident %(into)s"),
    "apart": _("what it was part of is over and it is not: told by itself from now on"),
    "muted": _("announced maintenance: told to nobody"),
    "unmuted": _("the maintenance is over and it is still wrong: told from now on"),
}
_TROUBLE_CHANGED: Final = _("it is known better what is wrong: %(trouble)s; before, %(before)s")

# What became of a notice to the IT department.
NOTICES: Final[Mapping[str, str]] = {
    "waiting": _("being sent"),
    "sent": _("sent"),
    "dead": _("given up"),
    "dropped": _("over, or overtaken, before it was sent"),
}

# What is wrong with a form, by the field that is refused; `dimension` is any of the registry's.
REFUSALS: Final[Mapping[str, str]] = {
    "title": _("Say in a few words what is wrong."),
    "text": _("A comment needs words."),
    "note": _("Say in a few words what is done."),
    "scope": _("Each of these values exists, but no terminal has them all at once."),
    "starts_at": _("A date and a time are needed for the start."),
    "ends_at": _("The end must lie after the start, after now, and no more than 7 days after the start."),
    "id": _("This incident was merged into another one, which lives on in its place."),
    "dimension": _("No terminal has this value: %(dimension)s."),
}


def incident_title(incident: Incident, language: str) -> str:
    """What an incident is called: as its person titled it, or what is wrong and where."""
    if incident.title or incident.trouble is None:
        return incident.title
    return wording.title(incident.trouble, incident.scope, language)


def likely_cause(incident: Incident, language: str) -> str:
    """The likely cause as a sentence; empty where a person declared it: the title says what they know."""
    return wording.likely_cause(incident.trouble, incident.scope, language) if incident.trouble else ""


def say(incident: Incident, language: str) -> str:
    """What an agent reads aloud: the incident's own advice before that of its kind."""
    if incident.advice or incident.trouble is None:
        return incident.advice
    return wording.spoken(incident.trouble, language)


def then_do(incident: Incident, language: str) -> str:
    """What the agent does then; empty where the incident has advice of its own."""
    return "" if incident.advice or incident.trouble is None else wording.next_step(incident.trouble, language)


def why(incident: Incident, language: str) -> list[str]:
    """The evidence in sentences, the weightiest first."""
    return wording.why_sentences(incident.evidence, language, trouble=incident.trouble)


def trouble_name(trouble: str, language: str) -> str:
    """What a kind of incident is called; one this release does not know by its code."""
    return in_language(wording.TITLES[Trouble(trouble)], language) if trouble in set(Trouble) else trouble


def event_text(event: IncidentEvent, *, translate: Translate, language: str) -> str:
    """What a step of an incident's life was; a kind this release does not know is shown as it is."""
    template = EVENTS.get(event.kind)
    if template is None:
        return event.kind
    if event.kind == "scope" and event.data.get("trouble_from"):
        known = {"trouble": trouble_name(event.data.get("trouble", ""), language)}
        return translate(_TROUBLE_CHANGED) % {**known, "before": trouble_name(event.data["trouble_from"], language)}
    try:
        return translate(template) % _Data(event.data, language)
    except KeyError:
        # An older release stored less: the words before the figures still hold.
        return translate(template).partition(":")[0].partition("%")[0].strip()


def refusal(field: str, *, translate: Translate) -> str:
    """What is wrong with a form, in the reader's language."""
    if field in REFUSALS:
        return translate(REFUSALS[field])
    return translate(REFUSALS["dimension"]) % {"dimension": translate(DIMENSIONS.get(field, field))}


def actor_name(actor: str, names: Mapping[str, str]) -> str:
    """Who did it: Vigie itself, somebody's name where the login is known, else the login or the program's token."""
    return "Vigie" if actor == WATCH_ACTOR else names.get(actor, actor)


class _Data(dict[str, Any]):
    """An event's data as its words take it."""

    def __init__(self, data: Mapping[str, Any], language: str) -> None:
        super().__init__(data)
        self._language = language

    def __getitem__(self, name: str) -> str:
        value = super().__getitem__(name)
        if name in {"from", "to"}:
            return wording.scope_in_words(value, self._language)
        return quantity(value, "", decimals=0, language=self._language) if isinstance(value, (int, float)) else str(value)
