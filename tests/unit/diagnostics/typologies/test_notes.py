import numpy as np
import pytest

from diagnostics.typologies.catalogue import delivered
from diagnostics.typologies.grouping import clusters, contrasts, same_group
from diagnostics.typologies.notes import NoteSpace, concepts, tokens
from diagnostics.typologies.sorting import NoteMatcher

EXAMPLES = [(number, one.notes) for number, one in enumerate(delivered())]
CODE = [one.code for one in delivered()]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("L'imprimante n'imprime PLUS.", ["imprimante", "imprime"]),
        ("Bonjour madame, ça a gelé", ["gele"]),
        ("Allô ? 12 terminaux", ["12"]),
        ("", []),
    ],
)
def test_notes_are_folded_to_the_words_that_tell_something(text: str, found: list[str]) -> None:
    assert tokens(text) == found


def test_words_of_the_trade_mean_one_thing_however_they_end() -> None:
    assert concepts(tokens("déconnecté d'internet, la borne a redémarré")) == ["reseau", "redemarrage"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Bonjour, la connexion internet est coupée, hors ligne. Merci.", "network_outage"),
        ("BOURRAGE PAPIER, tickets effacés", "printer_degraded"),
        ("lecteur refuse les bulletins, saisie main", "scanner_degraded"),
        ("gain du tiercé payé au mauvais montant", "settlement_error"),
        ("application bloquee, boutons inertes, ecran gele", "frozen_app"),
    ],
)
def test_a_note_is_put_to_the_typology_it_is_about_with_or_without_accents(text: str, code: str) -> None:
    [match] = NoteMatcher(EXAMPLES).match([text])
    assert match.matched
    assert match.typology is not None
    assert CODE[match.typology] == code


@pytest.mark.parametrize("text", ["voudrait des affiches du Quinté", "zzz", "", "changement d'horaires d'ouverture en août"])
def test_a_note_about_something_else_matches_nothing(text: str) -> None:
    assert not NoteMatcher(EXAMPLES).match([text])[0].matched


def test_without_examples_nothing_matches() -> None:
    assert [match.matched for match in NoteMatcher([]).match(["plus de réseau"])] == [False]


def test_the_order_of_notes_does_not_matter() -> None:
    texts = [note for _, notes in EXAMPLES[:4] for note in notes]
    forward, backward = NoteMatcher(EXAMPLES).match(texts), NoteMatcher(EXAMPLES).match(texts[::-1])[::-1]
    assert [match.typology for match in forward] == [match.typology for match in backward]


def test_groups_are_found_with_their_telling_words_as_they_are_written() -> None:
    about_menu = [
        f"le menu des jeux est vide {suffix}" for suffix in ("", "ce matin", "encore", "depuis hier", "aujourd'hui", "toujours")
    ]
    about_posters = [
        f"affiches du Quinté non reçues {suffix}" for suffix in ("", "ce mois", "encore", "depuis lundi", "toujours", "hier")
    ]
    odd = ["un chien a mordu le facteur", "demande le numéro du siège"]
    texts = [*about_menu, *about_posters, *odd]
    space = NoteSpace([*texts, *(note for _, notes in EXAMPLES for note in notes)])
    found = clusters(space.points(texts), fewest=4)
    assert sorted(map(sorted, found)) == [list(range(6)), list(range(6, 12))]
    assert "menu" in " ".join(space.terms(about_menu, about_posters))
    assert "reçues" in " ".join(space.terms(about_posters, about_menu))


def test_too_few_points_make_no_group_and_many_alike_make_one() -> None:
    rng = np.random.default_rng(1)
    one = rng.normal(size=20).astype(np.float32)
    alike = one + rng.normal(scale=0.05, size=(6, 20)).astype(np.float32)
    assert clusters(alike[:2], fewest=3) == []
    assert clusters(alike, fewest=3) == [list(range(6))]
    assert clusters(rng.normal(size=(5, 20)).astype(np.float32), fewest=3) == []


def test_a_group_keeps_its_name_while_it_overlaps_and_the_nearest_wins() -> None:
    offered = {7: {1, 2, 3, 4}, 9: {10, 11, 12}}
    assert same_group({2, 3, 4, 5}, offered) == 7
    assert same_group({11, 12, 13}, offered) == 9
    assert same_group({20, 21}, offered) is None


def test_what_callers_have_in_common_is_told_against_the_fleet() -> None:
    fleet = {"model": {"A": 0.3, "B": 0.7}, "firmware": {"4.3.0": 0.05, "4.2.1": 0.95}}
    inside = [{"model": "B", "firmware": "4.3.0"}] * 9 + [{"model": "A", "firmware": "4.2.1"}]
    [found] = contrasts(inside, fleet)
    assert (found.dimension, found.value, found.inside, found.outside) == ("firmware", "4.3.0", 0.9, 0.05)
