"""Which articles a call needs: those that help with what is wrong at the shop, then those that the note's words point to."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from diagnostics.typologies.advice import advice_for
from diagnostics.typologies.matches import of_refs
from fleet import registry
from fleet.database import Connection
from hotline.knowledge import articles
from hotline.knowledge.articles import Article
from hotline.notes import notes_of
from hotline.qualification import qualification_of
from hotline.stored_call import StoredCall

MOST_SUGGESTED: Final = 3
# A word speaks for an article by its rarity (the logarithm of articles per article that has it), and more so in a title.
_IN_TITLE: Final = 2.0
# Two rare words of the note, or one in a title: fewer are chance.
LEAST_SCORE: Final = 1.5


class Why(StrEnum):
    """Why an article is suggested."""

    TERMINALS = "terminals"
    QUALIFIED = "qualified"
    NOTE = "note"
    WORDS = "words"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An article, and why: `detail` is the terminals it concerns, or the words that point to it."""

    article: Article
    why: Why
    detail: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class WordHit:
    """That an article holds a word of the note; `rarity` is published articles per article that holds it."""

    article: int
    word: str
    rarity: float
    in_title: bool


def suggest(conn: Connection, *, call: StoredCall) -> list[Suggestion]:
    """The articles to show beside a call, the likeliest first."""
    note = " ".join(one.text for one in notes_of(conn, call=call.id))
    linked = _by_typology(conn, call)
    by_words = best_by_words(word_hits(conn, note)) if note else {}
    found = [Suggestion(articles.find(conn, article), Why.WORDS, words) for article, words in by_words.items()]
    return first_of([*linked, *found])


def first_of(found: Sequence[Suggestion]) -> list[Suggestion]:
    """Each article once, by the first reason for it, and no more than an agent reads during a call."""
    once: dict[int, Suggestion] = {}
    for one in found:
        once.setdefault(one.article.id, one)
    return list(once.values())[:MOST_SUGGESTED]


def best_by_words(hits: Sequence[WordHit], *, most: int = MOST_SUGGESTED) -> dict[int, list[str]]:
    """The articles that a note's words point to, the best first, each with the words that do, the rarest first.

    An article counts when its words' rarity, summed, reaches `LEAST_SCORE`: a word that most articles have says nothing.
    """
    scores: dict[int, float] = {}
    words: dict[int, dict[str, float]] = {}
    for hit in hits:
        weight = math.log(max(hit.rarity, 1.0)) * (_IN_TITLE if hit.in_title else 1.0)
        scores[hit.article] = scores.get(hit.article, 0.0) + weight
        words.setdefault(hit.article, {})[hit.word] = weight
    ranked = sorted((article for article, score in scores.items() if score >= LEAST_SCORE), key=lambda one: (-scores[one], one))
    return {one: sorted(words[one], key=lambda word: -words[one][word]) for one in ranked[:most]}


def word_hits(conn: Connection, note: str) -> list[WordHit]:
    """Which published articles hold which words of a note; a word stands for its stems, found with accents or without."""
    rows = conn.execute(
        """
        WITH said AS (
            SELECT DISTINCT ON (hotline.folded(word)) word, hotline.asked(word, false) AS query
            FROM regexp_split_to_table(%(note)s, '[^[:alnum:]]+') AS word WHERE length(word) > 2
        ), held AS (
            SELECT a.id, s.word, ts_filter(v.search, '{a}') @@ s.query AS in_title FROM said s
            JOIN hotline.article_version v ON v.search @@ s.query
            JOIN hotline.article a ON a.id = v.article AND a.version = v.number AND a.state = 'published'
            WHERE numnode(s.query) > 0
        )
        SELECT h.id, h.word, (SELECT count(*) FROM hotline.article WHERE state = 'published')::float8
            / count(*) OVER (PARTITION BY h.word), h.in_title
        FROM held h
        """,
        {"note": note},
    ).fetchall()
    return [WordHit(*row) for row in rows]


def _by_typology(conn: Connection, call: StoredCall) -> list[Suggestion]:
    """What helps with the terminals as they are now, then with what the agent chose, then with what the note was matched to."""
    terminals: Mapping[int, Sequence[str]] = {}
    if call.point_of_sale is not None:
        standing = [one.id for one in registry.terminals_of(conn, points_of_sale=[call.point_of_sale])]
        terminals = {one.typology_id: one.terminals for one in reversed(advice_for(conn, terminals=standing))}
    matched = of_refs(conn, kind="note", refs=[call.id]).get(call.id)
    qualified = qualification_of(conn, call=call.id)
    of_call = {Why.QUALIFIED: qualified.typology if qualified else None, Why.NOTE: matched.typology_id if matched else None}
    found = []
    for article in articles.of_typologies(conn, [*terminals, *filter(None, of_call.values())]):
        concerned = sorted({one for typology in article.typologies for one in terminals.get(typology, ())})
        told = next((why for why, typology in of_call.items() if typology in article.typologies), Why.NOTE)
        found.append(Suggestion(article, Why.TERMINALS, concerned) if concerned else Suggestion(article, told))
    return sorted(found, key=lambda one: list(Why).index(one.why))
