"""The words of a mail: what happened, where, why it is believed, what agents say; as text and as HTML."""

from collections.abc import Mapping
from html import escape
from typing import Final

from diagnostics.notices.body import About, Body
from diagnostics.notices.policy import Event
from diagnostics.typography import day, hour, in_language, typeset, whole

# What happened, as a headline. %(actor)s: who did it.
_HEADLINES: Final[Mapping[str, Mapping[str, str]]] = {
    Event.DECLARED: {"fr": "Incident déclaré par %(actor)s", "en": "Incident declared by %(actor)s"},
    Event.OPENED: {"fr": "Nouvel incident", "en": "New incident"},
    Event.GREW: {"fr": "L'incident s'étend", "en": "The incident grows"},
    Event.SCOPE: {"fr": "Périmètre précisé", "en": "Scope known better"},
    Event.ACKNOWLEDGED: {"fr": "Pris en charge par %(actor)s", "en": "Taken on by %(actor)s"},
    Event.COMMENTED: {"fr": "Commentaire de %(actor)s", "en": "Comment by %(actor)s"},
    Event.CLEARING: {"fr": "En voie de rétablissement", "en": "Recovering"},
    Event.FLAPPING: {
        "fr": "L'incident va et vient : il reste ouvert, vous ne serez prévenu que de sa fin",
        "en": "The incident comes and goes: it stays open, you will only be told of its end",
    },
    Event.CLOSED: {"fr": "Incident terminé", "en": "Incident over"},
    Event.RESOLVED: {"fr": "Incident clos par %(actor)s", "en": "Incident closed by %(actor)s"},
    Event.REOPENED: {"fr": "L'incident reprend", "en": "The incident is back"},
    Event.JOINED: {"fr": "L'incident s'étend", "en": "The incident grows"},
    Event.MERGED: {"fr": "Regroupé avec l'incident n° %(parent)s", "en": "Merged into incident %(parent)s"},
    Event.PARENT: {"fr": "Fait partie de l'incident n° %(parent)s", "en": "Part of incident %(parent)s"},
    Event.APART: {
        "fr": "Toujours en cours après la fin de l'incident plus large",
        "en": "Still there after the wider incident is over",
    },
    Event.MUTED: {"fr": "Maintenance annoncée", "en": "Announced maintenance"},
    Event.UNMUTED: {
        "fr": "Toujours en cours après la maintenance annoncée",
        "en": "Still there after the announced maintenance",
    },
    "test": {"fr": "Essai : les courriels de Vigie arrivent", "en": "Test: mail from Vigie arrives"},
}
_LABELS: Final[Mapping[str, Mapping[str, str]]] = {
    "scope": {"fr": "Périmètre", "en": "Scope"},
    "terminals": {"fr": "Terminaux", "en": "Terminals"},
    "since": {"fr": "Depuis", "en": "Since"},
    "until": {"fr": "Jusqu'à", "en": "Until"},
    "cause": {"fr": "Cause probable", "en": "Likely cause"},
    "why": {"fr": "Indices", "en": "Evidence"},
    "children": {"fr": "Incidents regroupés", "en": "Incidents within"},
    "advice": {"fr": "Pour les agents", "en": "For agents"},
    "comment": {"fr": "Commentaire", "en": "Comment"},
    "page": {"fr": "Dans Vigie", "en": "In Vigie"},
}
_COUNTED: Final = {
    "fr": "%(hits)s en ce moment, %(worst)s au plus fort, %(all)s concernés",
    "en": "%(hits)s now, %(worst)s at the worst, %(all)s concerned",
}
_TOUCHED: Final = {"fr": "%(all)s concernés", "en": "%(all)s concerned"}

Lines = list[tuple[str, list[str]]]


def subject(first: Body, language: str) -> str:
    """The thread's subject: `[Vigie 12] Terminaux hors ligne : opérateur beta`."""
    if first.incident is None:
        return f"[Vigie] {headline(first, language)}"
    # A subject is one line, whatever a person wrote.
    return f"[Vigie {first.incident.id}] {' '.join(_in(first.incident.title, language).splitlines())}"


def headline(body: Body, language: str) -> str:
    """What happened, in a few words."""
    known = {"actor": body.actor, "parent": "" if body.incident is None else body.incident.parent}
    return typeset(in_language(_HEADLINES[body.kind], language) % known, language)


def plain(body: Body, language: str) -> str:
    """The mail as text."""
    parts = [headline(body, language)]
    if body.incident is not None:
        parts += ["", _in(body.incident.title, language)]
    for label, lines in _sections(body, language):
        colon = ":" if language == "en" else "\u00a0:"
        if len(lines) == 1:
            parts.append(f"{label}{colon} {lines[0]}")
        else:
            parts += [f"{label}{colon}", *(f"- {line}" for line in lines)]
    return "\n".join(parts) + "\n"


def html(body: Body, language: str) -> str:
    """The mail as HTML, with styles in place: readers of mail know no other."""
    rows = "".join(
        f'<tr><th style="text-align:left;vertical-align:top;padding:4px 16px 4px 0;font-weight:600">{escape(label)}</th>'
        f'<td style="padding:4px 0">{"<br>".join(_linked(line) for line in lines)}</td></tr>'
        for label, lines in _sections(body, language)
    )
    title = (
        ""
        if body.incident is None
        else f'<p style="font-size:18px;margin:0 0 12px">{escape(_in(body.incident.title, language))}</p>'
    )
    return (
        f'<!DOCTYPE html><html lang="{"en" if language == "en" else "fr"}"><body style="font-family:sans-serif;color:#1c2430">'
        f'<p style="font-weight:600;margin:0 0 4px">{escape(headline(body, language))}</p>{title}'
        f'<table style="border-collapse:collapse;font-size:14px">{rows}</table></body></html>\n'
    )


def _sections(body: Body, language: str) -> Lines:
    """Labelled lines, without those that have nothing to say."""
    incident = body.incident
    found: Lines = [] if incident is None else _of_incident(incident, language)
    if body.comment:
        found.append(("comment", body.comment.splitlines()))
    if body.url:
        found.append(("page", [body.url]))
    return [(typeset(in_language(_LABELS[name], language), language), lines) for name, lines in found if lines]


def _of_incident(incident: About, language: str) -> Lines:
    counted = {
        "hits": whole(incident.hits, language),
        "worst": whole(incident.worst_hits, language),
        "all": whole(incident.terminals, language),
    }
    figures = in_language(_TOUCHED if incident.trouble is None else _COUNTED, language) % counted
    since = f"{day(incident.began_at, language)}, {hour(incident.began_at, language)}"
    over = incident.closed_at
    return [
        ("scope", [_in(incident.scope_in_words, language)]),
        ("terminals", [figures]),
        ("since", [since]),
        ("until", [] if over is None else [f"{day(over, language)}, {hour(over, language)}"]),
        ("cause", [] if incident.likely_cause is None else [_in(incident.likely_cause, language)]),
        ("why", incident.why.en if language == "en" else incident.why.fr),
        ("children", [_in(child.title, language) for child in incident.children]),
        ("advice", _in(incident.advice, language).splitlines()),
    ]


def _in(text: object, language: str) -> str:
    return str(getattr(text, "en" if language == "en" else "fr"))


def _linked(line: str) -> str:
    shown = escape(line)
    return f'<a href="{shown}">{shown}</a>' if line.startswith(("http://", "https://")) else shown
