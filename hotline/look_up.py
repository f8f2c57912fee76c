"""One box for everything: shops, terminals, calls, incidents and articles by what a person types.

Each kind is looked for in the way it is known by: a code, a number or a part of it, words with any ending and without accents.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from diagnostics import wording
from diagnostics.incident_views import headlines_since
from diagnostics.incidents import Incident, IncidentError, incident, incidents_named
from diagnostics.troubles import Trouble
from diagnostics.wording import scope_in_words
from fleet import registry
from fleet.database import Connection
from fleet.registry import PointOfSale, Terminal, folded
from hotline.calls import calls_by_id
from hotline.knowledge import articles
from hotline.knowledge.articles import Article
from hotline.masking import Viewer, searched_for, sees_numbers
from hotline.phone_numbers import read_number
from hotline.stored_call import StoredCall
from hotline.translations import LANGUAGES

SHOPS, TERMINALS, CALLS, INCIDENTS, ARTICLES = 12, 12, 10, 8, 8
# Older incidents are looked for by their number alone.
INCIDENTS_SINCE: Final = timedelta(days=60)
_INCIDENTS_READ: Final = 200
# Fewer digits begin, or end, too many numbers to tell anything.
_LEAST_BEGINNING, _LEAST_END = 8, 4
_ID: Final = re.compile(r"^#?(\d{1,18})$")
_WORD: Final = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Found:
    """What was found, of each kind the best first and no more than fits a page."""

    shops: Sequence[PointOfSale] = ()
    terminals: Sequence[Terminal] = ()
    calls: Sequence[StoredCall] = ()
    incidents: Sequence[Incident] = ()
    articles: Sequence[Article] = ()

    def __bool__(self) -> bool:
        return any((self.shops, self.terminals, self.calls, self.incidents, self.articles))


def look_up(conn: Connection, text: str, *, viewer: Viewer, now: datetime) -> Found:
    """Everything that fits what was typed; who may not see telephone numbers finds nothing by a part of one."""
    text = " ".join(text.replace("\0", " ").split())
    if not text:
        return Found()
    number = searched_for(text, viewer=viewer)
    return Found(
        shops=registry.search(conn, number, limit=SHOPS),
        terminals=registry.search_terminals(conn, text, limit=TERMINALS),
        calls=_calls(conn, text, number=number, noted=text if sees_numbers(viewer) else _without_digits(text)),
        incidents=_incidents(conn, text, now=now),
        articles=articles.search(conn, text, limit=ARTICLES),
    )


def says_all(words: Sequence[str], told: Iterable[str]) -> bool:
    """Whether each of these words begins one of those; all folded."""
    return all(any(one.startswith(word) for one in told) for word in words)


def words_of(text: str) -> list[str]:
    """The words of a text, without case and accents."""
    return _WORD.findall(folded(text))


def _without_digits(text: str) -> str:
    """The words that hold no digit: notes may hold telephone numbers."""
    return " ".join(word for word in text.split() if not any(map(str.isdigit, word)))


def _calls(conn: Connection, text: str, *, number: str, noted: str) -> list[StoredCall]:
    """Calls of a number or a part of it, of an id here or at the telephone system, of words `noted` of them; newest first."""
    own_id = _ID.match(text)
    parameters: dict[str, object] = {"text": text, "noted": noted, "limit": CALLS, "id": int(own_id.group(1)) if own_id else 0}
    wanted = ["SELECT id FROM hotline.call WHERE id = %(id)s OR call_id = %(text)s"]
    if noted and not _is_number(noted):
        wanted.append("SELECT call FROM noted")
    for condition, value in _by_number(number):
        parameters[f"value{len(parameters)}"] = value
        wanted.append(f"SELECT id FROM hotline.call WHERE {condition} %(value{len(parameters) - 1})s")
    newest = " UNION ".join(f"({one} ORDER BY 1 DESC LIMIT %(limit)s)" for one in wanted)
    # Materialized, for the order would lead the planner through every note, newest first, instead of to the index of words.
    words = (
        "WITH noted AS MATERIALIZED ("
        " SELECT n.call FROM hotline.call_note n WHERE hotline.stems(n.text, '') @@ hotline.asked(%(noted)s, true))"
    )
    # Planned with the values at hand: a pattern's index serves only where its beginning is known.
    rows = conn.execute(
        f"{words} SELECT id FROM ({newest}) AS found (id) ORDER BY id DESC LIMIT %(limit)s", parameters, prepare=False
    ).fetchall()
    return calls_by_id(conn, [row[0] for row in rows])


def _by_number(number: str) -> list[tuple[str, str]]:
    """How calls of a number are found: as a whole, by its beginning in E.164, by its end; none where too little is known of it."""
    if not _is_number(number):
        return []
    found = []
    if whole := read_number(number):
        found.append(("from_number =", whole))
    digits = "".join(filter(str.isdigit, number))
    if len(digits) >= _LEAST_BEGINNING and number.startswith(("+", "0")):
        found.append(("from_number LIKE", f"+{digits}%" if number.startswith("+") else f"+33{digits[1:]}%"))
    if len(digits) >= _LEAST_END:
        found.append(("reverse(from_number) LIKE", f"{digits[::-1]}%"))
    return found


def _incidents(conn: Connection, text: str, *, now: datetime) -> list[Incident]:
    """The incident of this number, and those whose title or scope says every word, in either language; open ones first."""
    if own_id := _ID.match(text):
        try:
            return [incident(conn, int(own_id.group(1)))]
        except IncidentError:
            return []
    words = words_of(text)
    if not words:
        return []
    recent = headlines_since(conn, since=now - INCIDENTS_SINCE, limit=_INCIDENTS_READ)
    said = [one for one in recent if says_all(words, _told(one.title, one.trouble, tuple(one.scope.items())))]
    shown = [one.id for one in sorted(said, key=lambda one: (one.state == "closed", -one.id))[:INCIDENTS]]
    # What is counted of an incident is counted for those that are shown.
    return sorted(incidents_named(conn, shown), key=lambda one: shown.index(one.id))


@lru_cache(maxsize=4096)
def _told(title: str, trouble: Trouble | None, scope: tuple[tuple[str, str], ...]) -> frozenset[str]:
    """The words of an incident's title and scope, in every language; many incidents share theirs."""
    where = dict(scope)
    said = [scope_in_words(where, one) if trouble is None else wording.title(trouble, where, one) for one in LANGUAGES]
    return frozenset(words_of(" ".join((title, *where.values(), *said))))


def _is_number(text: str) -> bool:
    return any(map(str.isdigit, text)) and not any(map(str.isalpha, text))
