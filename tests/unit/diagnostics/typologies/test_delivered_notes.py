"""The delivered examples are held against the simulator's callers (benchmarks/typologies.py): they must not be their sentences."""

import re
from difflib import SequenceMatcher

import pytest

from diagnostics.typologies.catalogue import delivered
from diagnostics.typologies.notes import tokens
from fleet.registry import folded
from simulators.words import EVERYDAY, HABITS

# Nearly equal: so many of the letters in the same order, in parts of both texts (difflib's ratio, on folded words) ...
LETTERS_ALIKE = 0.75
# ... or so many of their telling words shared, in parts of those that either has (Jaccard).
WORDS_SHARED = 0.6
SIMULATED = [sentence for habit in HABITS.values() for sentence in habit.words] + [
    sentence for _, _, words in EVERYDAY for sentence in words
]
NOTES = [note for one in delivered() for note in one.notes]


def nearly_equal(one: str, other: str) -> bool:
    letters, shared = likeness(one, other)
    return letters >= LETTERS_ALIKE or shared >= WORDS_SHARED


def likeness(one: str, other: str) -> tuple[float, float]:
    letters = SequenceMatcher(None, plain(one), plain(other), autojunk=False).ratio()
    words, others = set(tokens(one)), set(tokens(other))
    return letters, len(words & others) / max(len(words | others), 1)


def plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", folded(text)))


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ("Écran figé, plus rien !", "ecran fige plus rien", True),
        ("imprimante HS, tickets pâles", "les tickets sortent pâles, l'imprimante est HS", True),
        ("la borne chauffe depuis midi", "la borne chauffe depuis ce midi-là", True),
        ("plus de papier en stock", "le lecteur refuse les grilles", False),
    ],
)
def test_sentences_are_nearly_equal_by_letters_or_by_words(one: str, other: str, found: bool) -> None:
    assert nearly_equal(one, other) is found


def test_no_delivered_note_is_nearly_a_sentence_of_the_simulated_callers() -> None:
    assert len(SIMULATED) > 100
    assert {note: sentence for note in NOTES for sentence in SIMULATED if nearly_equal(note, sentence)} == {}


def test_no_delivered_note_stands_twice() -> None:
    assert len({plain(note) for note in NOTES}) == len(NOTES) > 100
