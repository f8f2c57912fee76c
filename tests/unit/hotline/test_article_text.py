import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.knowledge.article_text import PASSAGE_CHARS, Block, Piece, Shape, blocks, passage

STEPS = "Coupez d'abord.\n\n1. Ouvrez le capot.\n\n2) Retirez le papier.\n- sans tirer\n- sans outil\n\nRefermez.\nAttendez."


def found_in(pieces: list[Piece]) -> list[str]:
    return [piece.text for piece in pieces if piece.found]


def test_plain_lines_become_paragraphs_steps_and_points() -> None:
    assert blocks(STEPS) == [
        Block(Shape.PARAGRAPH, ["Coupez d'abord."]),
        Block(Shape.STEPS, ["Ouvrez le capot.", "Retirez le papier."]),
        Block(Shape.POINTS, ["sans tirer", "sans outil"]),
        Block(Shape.PARAGRAPH, ["Refermez.", "Attendez."]),
    ]


def test_a_blank_line_parts_paragraphs_and_numbers_in_a_sentence_are_no_steps() -> None:
    assert [block.lines for block in blocks("Un.\n\nDeux, dont 2. trois.\n2026 fut long.")] == [
        ["Un."],
        ["Deux, dont 2. trois.", "2026 fut long."],
    ]


@pytest.mark.parametrize(
    ("asked", "marked"),
    [
        pytest.param("papier", ["papier"], id="as it is written"),
        pytest.param("PAPIERS", ["papier"], id="in capitals, in the plural"),
        pytest.param("redemarrer", ["redémarrage", "redémarrez"], id="another ending, no accents"),
        pytest.param("borne", [], id="a word that is not there"),
        pytest.param("re", [], id="the beginning of many words is none of them"),
        pytest.param("", [], id="nothing asked"),
    ],
)
def test_found_words_are_marked_whatever_their_endings_and_accents(asked: str, marked: list[str]) -> None:
    text = "Changez le papier. Un redémarrage ne sert à rien : ne redémarrez jamais."
    assert found_in(passage(text, asked)) == marked


def test_the_passage_begins_where_most_of_what_was_asked_is_said() -> None:
    text = "Le capot. " + "Autre chose sans rapport. " * 20 + "Le capot se ferme quand le rouleau est en place."
    pieces = passage(text, "capot rouleau")
    assert found_in(pieces) == ["capot", "rouleau"]
    assert pieces[0] == Piece("…", False)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=600), st.text(max_size=40))
def test_no_text_and_no_question_break_a_passage_or_add_words(text: str, asked: str) -> None:
    plain = " ".join(line for block in blocks(text) for line in block.lines)
    shown = "".join(piece.text for piece in passage(text, asked))
    assert shown.strip("…") in plain
    assert len(shown) <= PASSAGE_CHARS + 2


@given(st.lists(st.sampled_from(["- a", "1. b", "", "c", "2) d", "• e"]), max_size=12))
def test_no_line_of_a_text_is_lost(lines: list[str]) -> None:
    kept = [line for block in blocks("\n".join(lines)) for line in block.lines]
    assert kept == [line[-1] for line in lines if line]
