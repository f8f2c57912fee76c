"""Articles as they are kept, found and suggested."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from diagnostics.typologies import store
from hotline.knowledge import articles
from hotline.knowledge.articles import ArticleError, Draft
from hotline.knowledge.delivery import deliver, delivered
from hotline.knowledge.suggest import LEAST_SCORE, Suggestion, Why, WordHit, best_by_words, first_of, word_hits
from hotline.qualification import Subject

NOW = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)
Conn = psycopg.Connection


def draft(title: str, body: str = "Texte.", *, english: str = "", typologies: tuple[int, ...] = ()) -> Draft:
    return Draft(Subject.TECHNICAL, {"fr": title, "en": english}, {"fr": body, "en": ""}, typologies)


def written(conn: Conn, title: str, body: str = "Texte.", **more: object) -> int:
    return articles.write(conn, draft(title, body, **more), author="vera", now=NOW)  # type: ignore[arg-type]  # english, typologies


@pytest.fixture
def shelf(conn: Conn) -> dict[str, int]:
    """Four articles that agents look for."""
    return {
        "paper": written(conn, "Bourrage papier : dégager l'imprimante", "Ouvrez le capot, retirez la feuille coincée, refermez."),
        "roll": written(conn, "Remplacer le rouleau de papier", "Le rouleau se place côté imprimé vers le haut."),
        "network": written(
            conn, "Terminal déconnecté", "Débranchez la box, attendez une minute.", english="Terminal not connected"
        ),
        "prize": written(conn, "Payer un gain élevé", "Au-delà de 500 €, le parieur s'adresse à l'agence."),
    }


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        pytest.param("bourrage", "paper", id="a word of the title"),
        pytest.param("l'imprimante", "paper", id="with its article"),
        pytest.param("l’imprimante", "paper", id="with a curly apostrophe"),
        pytest.param("deconnecte", "network", id="without accents"),
        pytest.param("DÉCONNECTÉS", "network", id="in capitals and the plural"),
        pytest.param("deconnectee", "network", id="without accents, in the feminine"),
        pytest.param("remplacement rouleaux", "roll", id="other endings"),
        pytest.param("remplacer le rou", "roll", id="the last word not typed to its end"),
        pytest.param("not connected", "network", id="in English"),
        pytest.param("gains de 500", "prize", id="a number and a stop word"),
        pytest.param("rouleau capot", None, id="every word must be there"),
        pytest.param("imprimante!!", "paper", id="signs are passed over"),
        pytest.param("à & | ! :* ' \\", None, id="nothing but signs and stop words"),
    ],
)
def test_articles_are_found_by_words_as_agents_type_them(conn: Conn, shelf: dict[str, int], typed: str, first: str | None) -> None:
    found = articles.search(conn, typed)
    assert (found[0].id if found else None) == (shelf[first] if first else None)


def test_a_word_of_the_title_comes_before_one_of_the_text(conn: Conn) -> None:
    below = written(conn, "Autre chose", "On y parle aussi de chauffage, du chauffage.")
    above = written(conn, "Chauffage")
    assert [one.id for one in articles.search(conn, "chauffage")] == [above, below]


def test_a_change_is_a_version_and_the_one_before_can_hold_again(conn: Conn) -> None:
    number = written(conn, "Première")
    assert articles.change(conn, number, draft("Seconde"), seen=1, author="bob", now=NOW + timedelta(hours=1)) == 2
    assert articles.search(conn, "première") == []
    assert articles.restore(conn, number, version=1, seen=2, author="vera", now=NOW + timedelta(hours=2)) == 3
    now_holds = articles.find(conn, number)
    assert (now_holds.title_fr, now_holds.newest, now_holds.restored_from) == ("Première", 3, 1)
    assert [(one.version, one.title_fr, one.author) for one in articles.versions(conn, number)] == [
        (3, "Première", "vera"),
        (2, "Seconde", "bob"),
        (1, "Première", "vera"),
    ]
    assert articles.find(conn, number, version=2).title_fr == "Seconde"


def test_saying_the_same_again_adds_no_version(conn: Conn) -> None:
    number = written(conn, "Pareil")
    assert articles.change(conn, number, draft("Pareil"), seen=1, author="bob", now=NOW) == 1
    assert articles.restore(conn, number, version=1, seen=1, author="bob", now=NOW) == 1
    assert len(articles.versions(conn, number)) == 1


def test_who_did_not_see_the_newest_version_overwrites_nothing(conn: Conn) -> None:
    number = written(conn, "Une")
    articles.change(conn, number, draft("Deux"), seen=1, author="bob", now=NOW)
    with pytest.raises(ArticleError, match="version"):
        articles.change(conn, number, draft("Trois"), seen=1, author="vera", now=NOW)
    with pytest.raises(ArticleError, match="version"):
        articles.restore(conn, number, version=1, seen=1, author="vera", now=NOW)
    assert articles.find(conn, number).title_fr == "Deux"


def test_who_did_not_see_a_new_typology_does_not_take_it_back(conn: Conn) -> None:
    store.deliver(conn, now=NOW)
    first, second = (one.id for one in store.typologies(conn)[:2])
    number = written(conn, "Une", typologies=(first,))
    assert articles.change(conn, number, draft("Une", typologies=(second, first)), seen=1, author="alice", now=NOW) == 2
    with pytest.raises(ArticleError, match="version"):
        articles.change(conn, number, draft("Deux", typologies=(first,)), seen=1, author="bob", now=NOW)
    assert articles.find(conn, number).typologies == sorted([first, second])
    assert articles.change(conn, number, draft("Une", typologies=(first, second)), seen=2, author="bob", now=NOW) == 2


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        pytest.param(draft(" "), "title", id="no title"),
        pytest.param(draft("x", " \n"), "body", id="no text"),
        pytest.param(draft("x" * 161), "title", id="a title too long"),
        pytest.param(draft("x", typologies=(999_999,)), "typologies", id="a typology that is none"),
    ],
)
def test_what_is_missing_or_wrong_is_named(conn: Conn, wrong: Draft, field: str) -> None:
    with pytest.raises(ArticleError) as caught:
        articles.write(conn, wrong, author="vera", now=NOW)
    assert caught.value.field == field


def test_a_withdrawn_article_is_found_by_nobody_until_it_is_taken_back(conn: Conn) -> None:
    number = written(conn, "Ancienne consigne")
    articles.set_state(conn, number, "withdrawn")
    assert articles.search(conn, "consigne") == []
    assert number in [one.id for one in articles.articles(conn, state="withdrawn")]
    articles.set_state(conn, number, "published")
    assert [one.id for one in articles.search(conn, "consigne")] == [number]


def test_an_article_helps_with_its_typologies_and_with_what_they_became(conn: Conn) -> None:
    store.deliver(conn, now=NOW)
    first, second, *_ = [one.id for one in store.typologies(conn)]
    number = written(conn, "Liée", typologies=(first,))
    assert [one.id for one in articles.of_typologies(conn, [first])] == [number]
    assert articles.of_typologies(conn, [second]) == []
    store.merge(conn, first, into=second, actor="vera", now=NOW)
    assert [one.id for one in articles.of_typologies(conn, [second])] == [number]
    articles.change(conn, number, draft("Liée"), seen=1, author="vera", now=NOW)
    assert articles.of_typologies(conn, [second]) == []


def test_the_words_of_a_note_point_to_the_article_that_has_them(conn: Conn, shelf: dict[str, int]) -> None:
    for number in range(6):
        written(conn, f"Terminal, sujet {number}")
    pointed = best_by_words(word_hits(conn, "le papier est coince dans l'imprimante du terminal"))
    assert next(iter(pointed)) == shelf["paper"]
    assert "imprimante" in pointed[shelf["paper"]]
    # A word that most articles have says nothing.
    assert best_by_words(word_hits(conn, "terminal")) == {}


def test_common_words_do_not_make_a_suggestion_and_a_rare_one_in_a_title_does() -> None:
    assert best_by_words([WordHit(1, "borne", 1.2, True), WordHit(1, "panne", 1.5, False)]) == {}
    assert best_by_words([WordHit(1, "bourrage", 8.0, True)]) == {1: ["bourrage"]}
    assert LEAST_SCORE < 2 * 2.08


def test_an_article_is_suggested_once_by_its_first_reason_and_few_are(conn: Conn, shelf: dict[str, int]) -> None:
    found = [articles.find(conn, number) for number in shelf.values()]
    offered = [Suggestion(found[0], Why.TERMINALS), Suggestion(found[0], Why.WORDS), *(Suggestion(one, Why.NOTE) for one in found)]
    assert [(one.article.id, one.why) for one in first_of(offered)] == [
        (shelf["paper"], Why.TERMINALS),
        (shelf["roll"], Why.NOTE),
        (shelf["network"], Why.NOTE),
    ]


def test_delivered_articles_are_added_once_and_left_to_people(conn: Conn) -> None:
    assert deliver(conn, now=NOW) == len(delivered()) == 10
    assert deliver(conn, now=NOW) == 0
    by_code = {one.code: one for one in articles.articles(conn)}
    paper = by_code["paper_roll"]
    [typology] = [one.id for one in store.typologies(conn) if one.code == "paper_out"]
    assert paper.typologies == [typology]
    assert all(one.title_fr and one.title_en and one.body_fr and one.body_en for one in by_code.values())
    articles.change(conn, paper.id, draft("Le rouleau"), seen=1, author="vera", now=NOW)
    articles.set_state(conn, by_code["wrong_time"].id, "withdrawn")
    assert deliver(conn, now=NOW) == 0
    assert articles.find(conn, paper.id).title_fr == "Le rouleau"


def test_programs_that_start_together_deliver_once(database_url: str) -> None:
    together = threading.Barrier(3)

    def start(_number: int) -> int:
        with psycopg.connect(database_url) as conn:
            together.wait(10)
            return deliver(conn, now=NOW)

    with ThreadPoolExecutor(3) as programs:
        assert sorted(programs.map(start, range(3))) == [0, 0, len(delivered())]


@pytest.mark.parametrize(
    ("note", "code"),
    [
        pytest.param("rouleau vide le client ne sait pas le changer", "paper_roll", id="paper"),
        pytest.param("bourrage, ticket coupe en deux", "paper_jam", id="jam"),
        pytest.param("ecran fige depuis 10 min, tres lent", "frozen_screen", id="frozen"),
        pytest.param("ses bulletins sont refuses par le lecteur", "slips_not_read", id="slips"),
        pytest.param("box debranchee rebranchee, tjs pas de 4G", "no_connection", id="network"),
        pytest.param("un parieur dit que son ticket est gagnant", "winning_ticket_refused", id="prize"),
        pytest.param("fermeture pour conges en aout", "holiday_closing", id="holidays"),
        pytest.param("veut commander des bulletins", "order_supplies", id="supplies"),
        pytest.param("ecart sur son releve de commissions", "statement_question", id="statement"),
    ],
)
def test_notes_as_agents_write_them_point_to_the_delivered_article(conn: Conn, note: str, code: str) -> None:
    deliver(conn, now=NOW)
    pointed = best_by_words(word_hits(conn, note))
    assert articles.find(conn, next(iter(pointed))).code == code
