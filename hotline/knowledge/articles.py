"""The articles: each change is a version of its own, the newest holds, and an old one can be taken back as a new one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from psycopg.rows import class_row

from fleet.database import Connection
from fleet.errors import VigieError
from hotline.qualification import Subject

LANGUAGES: Final = ("fr", "en")
LONGEST_TITLE, LONGEST_BODY = 160, 12_000
MOST_FOUND = 200

Texts = Mapping[str, str]
State = Literal["published", "withdrawn"]


class ArticleError(VigieError):
    """An article cannot be kept or found; `field` names what is wrong: `id`, `title`, `body`, `typologies`, `version`."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field


@dataclass(frozen=True, slots=True)
class Article:
    """An article as one of its versions has it; `version` is that version's number, `newest` the one that holds.

    `typologies`: those it helps with, by id, whatever the version.
    """

    id: int
    code: str | None
    state: State
    newest: int
    version: int
    subject: Subject
    title_fr: str
    title_en: str
    body_fr: str
    body_en: str
    author: str
    at: datetime
    restored_from: int | None
    typologies: list[int]

    def __post_init__(self) -> None:
        object.__setattr__(self, "subject", Subject(self.subject))

    def title(self, language: str) -> str:
        """The title in the language, or in the other where that has none."""
        return _either(self.title_fr, self.title_en, language)

    def body(self, language: str) -> str:
        """The text in the language, or in the other where that has none."""
        return _either(self.body_fr, self.body_en, language)

    def __getitem__(self, name: str) -> object:
        """A field by its form's name."""
        return getattr(self, name)


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody wants an article to say; texts by language, `fr` and `en`, one of which may be empty."""

    subject: Subject
    title: Texts
    body: Texts
    typologies: Sequence[int] = ()

    def checked(self) -> dict[str, Any]:
        """The columns of a version; `ArticleError` where a text is missing or too long."""
        columns: dict[str, Any] = {"subject": self.subject}
        for field, texts, longest in (("title", self.title, LONGEST_TITLE), ("body", self.body, LONGEST_BODY)):
            stripped = {language: texts.get(language, "").replace("\r\n", "\n").strip() for language in LANGUAGES}
            if not any(stripped.values()):
                raise ArticleError(field, "is needed in one language at least")
            if any(len(text) > longest for text in stripped.values()):
                raise ArticleError(field, f"has at most {longest} characters")
            columns |= {f"{field}_{language}": text for language, text in stripped.items()}
        return columns


_COLUMNS = """
    a.id, a.code, a.state, a.version AS newest, v.number AS version, v.subject, v.title_fr, v.title_en, v.body_fr, v.body_en,
    v.author, v.at, v.restored_from,
    ARRAY(SELECT l.typology FROM hotline.article_typology l WHERE l.article = a.id ORDER BY 1) AS typologies
"""
_NEWEST = "FROM hotline.article a JOIN hotline.article_version v ON v.article = a.id AND v.number = a.version"
_ADD_VERSION = """
    INSERT INTO hotline.article_version
        (article, number, subject, title_fr, title_en, body_fr, body_en, author, at, restored_from)
    VALUES (%(article)s, %(number)s, %(subject)s, %(title_fr)s, %(title_en)s, %(body_fr)s, %(body_en)s, %(author)s, %(now)s,
        %(restored_from)s)
"""


def write(conn: Connection, draft: Draft, *, author: str, now: datetime, code: str | None = None) -> int:
    """Keep a new article and return its number; `ArticleError` names what is missing, or the code that is taken."""
    columns = draft.checked()
    row = conn.execute(
        "INSERT INTO hotline.article (code, state, version, created_at) VALUES (%(code)s, 'published', 1, %(now)s)"
        " ON CONFLICT (code) DO NOTHING RETURNING id",
        {"code": code, "now": now},
    ).fetchone()
    if row is None:
        raise ArticleError("code", f"the article {code} is there already")
    number: int = row[0]
    conn.execute(_ADD_VERSION, {**columns, "article": number, "number": 1, "author": author, "now": now, "restored_from": None})
    _link(conn, number, draft.typologies)
    return number


def change(conn: Connection, article: int, draft: Draft, *, seen: int, author: str, now: datetime) -> int:
    """Keep what somebody made of the version they had `seen`, as a new version; returns its number.

    Other typologies are a version as well, though no version keeps them: who had seen the old ones must not take them back
    unawares. Saying the same again adds none. `ArticleError` of `version` where somebody else was faster: nothing of theirs is
    lost.
    """
    columns = draft.checked()
    _lock(conn, article, seen=seen)
    before = find(conn, article)
    if set(before.typologies) != set(draft.typologies) or any(before[name] != value for name, value in columns.items()):
        _add(conn, before, columns, author=author, now=now, restored_from=None)
        _link(conn, article, draft.typologies)
        return seen + 1
    return seen


def restore(conn: Connection, article: int, *, version: int, seen: int, author: str, now: datetime) -> int:
    """Let the words of an old version hold again, as a new version; returns its number."""
    _lock(conn, article, seen=seen)
    before, old = find(conn, article), find(conn, article, version=version)
    columns = {name: old[name] for name in ("subject", "title_fr", "title_en", "body_fr", "body_en")}
    if all(before[name] == value for name, value in columns.items()):
        return seen
    _add(conn, before, columns, author=author, now=now, restored_from=version)
    return seen + 1


def set_state(conn: Connection, article: int, state: State) -> None:
    """Take an article out of use, or back into it; its versions stay."""
    changed = conn.execute(
        "UPDATE hotline.article SET state = %(state)s WHERE id = %(id)s", {"id": article, "state": state}
    ).rowcount
    if not changed:
        raise ArticleError("id", f"no article {article}")


def find(conn: Connection, article: int, *, version: int | None = None) -> Article:
    """An article as it holds, or as one of its versions had it."""
    found = _select(
        conn,
        "FROM hotline.article a JOIN hotline.article_version v ON v.article = a.id"
        " AND v.number = coalesce(%(version)s::integer, a.version) WHERE a.id = %(id)s",
        {"id": article, "version": version},
    )
    if not found:
        raise ArticleError("id" if version is None else "version", f"no article {article}, or no such version of it")
    return found[0]


def versions(conn: Connection, article: int) -> list[Article]:
    """Every version of an article, the newest first."""
    return _select(
        conn,
        "FROM hotline.article a JOIN hotline.article_version v ON v.article = a.id WHERE a.id = %(id)s ORDER BY v.number DESC",
        {"id": article},
    )


def articles(conn: Connection, *, state: State = "published", subject: Subject | None = None) -> list[Article]:
    """Every article in a state, by subject and title."""
    return _select(
        conn,
        f"{_NEWEST} WHERE a.state = %(state)s AND (%(subject)s::text IS NULL OR v.subject = %(subject)s)"
        " ORDER BY v.subject DESC, v.title_fr, a.id LIMIT %(limit)s",
        {"state": state, "subject": subject, "limit": MOST_FOUND},
    )


def search(conn: Connection, text: str, *, subject: Subject | None = None, limit: int = 20) -> list[Article]:
    """Published articles that hold every word that was typed, whatever their endings and accents, the best first.

    The last word may not be typed to its end. Words of a title count more than words of the text.
    """
    return _select(
        conn,
        f"{_NEWEST}, hotline.asked(%(text)s, true) AS query"
        " WHERE a.state = 'published' AND v.search @@ query AND (%(subject)s::text IS NULL OR v.subject = %(subject)s)"
        " ORDER BY ts_rank_cd(v.search, query) DESC, v.title_fr, a.id LIMIT %(limit)s",
        {"text": text, "subject": subject, "limit": limit},
    )


def of_typologies(conn: Connection, typologies: Sequence[int]) -> list[Article]:
    """Published articles that help with these typologies, or with what was merged into one of them."""
    return _select(
        conn,
        f"{_NEWEST} WHERE a.state = 'published' AND EXISTS (SELECT FROM hotline.article_typology l"
        " JOIN diagnostics.typology t ON t.id = l.typology WHERE l.article = a.id"
        " AND coalesce(t.merged_into, t.id) = ANY(%(typologies)s)) ORDER BY v.title_fr, a.id",
        {"typologies": list(typologies)},
    )


def _add(
    conn: Connection, before: Article, columns: Mapping[str, Any], *, author: str, now: datetime, restored_from: int | None
) -> None:
    number = before.newest + 1
    conn.execute(
        _ADD_VERSION,
        {**columns, "article": before.id, "number": number, "author": author, "now": now, "restored_from": restored_from},
    )
    conn.execute("UPDATE hotline.article SET version = %(number)s WHERE id = %(id)s", {"id": before.id, "number": number})


def _lock(conn: Connection, article: int, *, seen: int) -> None:
    row = conn.execute("SELECT version FROM hotline.article WHERE id = %(id)s FOR UPDATE", {"id": article}).fetchone()
    if row is None:
        raise ArticleError("id", f"no article {article}")
    if row[0] != seen:
        raise ArticleError("version", f"version {row[0]} holds by now")


def _link(conn: Connection, article: int, typologies: Sequence[int]) -> None:
    known = {"article": article, "typologies": list(typologies)}
    conn.execute("DELETE FROM hotline.article_typology WHERE article = %(article)s AND typology <> ALL(%(typologies)s)", known)
    linked = conn.execute(
        "WITH wanted AS (SELECT t.id FROM diagnostics.typology t WHERE t.id = ANY(%(typologies)s)), made AS ("
        " INSERT INTO hotline.article_typology (article, typology) SELECT %(article)s, id FROM wanted ON CONFLICT DO NOTHING)"
        " SELECT count(*) FROM wanted",
        known,
    ).fetchone()
    if linked is None or linked[0] != len(set(typologies)):
        raise ArticleError("typologies", "one of them is no typology")


def _select(conn: Connection, rest: str, parameters: Mapping[str, object]) -> list[Article]:
    with conn.cursor(row_factory=class_row(Article)) as cursor:
        return cursor.execute(f"SELECT {_COLUMNS} {rest}", parameters).fetchall()


def _either(french: str, english: str, language: str) -> str:
    return (french or english) if language == "fr" else (english or french)
