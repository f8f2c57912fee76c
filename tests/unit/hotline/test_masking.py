import re
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.floors import Floor
from hotline.masking import mask_text, number_for_programs, searched_for, shown_number, shown_text


@dataclass(frozen=True)
class Somebody:
    floor: Floor


OWN, OVERFLOW = Somebody(Floor.OWN), Somebody(Floor.OVERFLOW)


@pytest.mark.parametrize(
    ("number", "own", "overflow"),
    [
        pytest.param("+33199001234", "01 99 00 12 34", "•• •• •• •• 34", id="of the mainland"),
        pytest.param("+262262123456", "0262 12 34 56", "•••• •• •• 56", id="overseas"),
        pytest.param("0199001234", "0199001234", "••••••••34", id="as it came"),
        pytest.param("sip:0199001234@pbx", "sip:0199001234@pbx", "sip:••••••••34@pbx", id="in an address"),
        pytest.param("4021", "4021", "4021", id="an internal extension"),
        pytest.param("", "", "", id="withheld"),
        pytest.param("Alice Martin", "Alice Martin", "Alice Martin", id="a name"),
    ],
)
def test_the_overflow_floor_sees_a_numbers_end_only(number: str, own: str, overflow: str) -> None:
    assert shown_number(number, viewer=OWN) == own
    assert shown_number(number, viewer=OVERFLOW) == overflow


def test_programs_of_the_overflow_floor_get_no_number_either() -> None:
    assert number_for_programs("+33199001234", viewer=OWN) == "+33199001234"
    assert number_for_programs("+33199001234", viewer=OVERFLOW) == "+•••••••••34"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        pytest.param("Rappeler au 06 39 98 12 34 ce soir", "Rappeler au •• •• •• •• 34 ce soir", id="with blanks"),
        pytest.param("06.39.98.12.34 ou 06-39-98-12-35", "••.••.••.••.34 ou ••-••-••-••-35", id="two, with dots and dashes"),
        pytest.param("+33 (0)1 99 00 12 34", "+•• (•)• •• •• •• 34", id="from abroad"),
        pytest.param("tel 0033199001234.", "tel •••••••••••34.", id="with the international prefix"),
        pytest.param("06\u202f39\u202f98\u202f12\u202f34", "••\u202f••\u202f••\u202f••\u202f34", id="with narrow blanks"),
        pytest.param("T00012 depuis 10 h 30, 23/11/2026, 45 €", "T00012 depuis 10 h 30, 23/11/2026, 45 €", id="no number at all"),
    ],
)
def test_numbers_in_a_text_are_hidden_and_the_rest_stays(text: str, masked: str) -> None:
    assert shown_text(text, viewer=OVERFLOW) == masked
    assert shown_text(text, viewer=OWN) == text


@given(
    st.integers(0, 999_999).map("{:06}".format),
    st.text(st.sampled_from(" .-/\u00a0\u202f"), max_size=2),
    st.text(st.characters(exclude_categories=["Nd", "Cs"]), max_size=20),
)
def test_no_number_slips_through_a_text_however_it_is_typed(tail: str, between: str, around: str) -> None:
    digits = "0199" + tail
    typed = between.join(digits)
    left = re.sub(r"\D", "", mask_text(f"{around}{typed}{around}"))
    assert left == digits[-2:]


@pytest.mark.parametrize(
    ("text", "overflow"),
    [
        pytest.param("0199", "", id="a part of a number"),
        pytest.param("01 99 00 1", "", id="a longer part"),
        pytest.param("01 99 00 12 34", "01 99 00 12 34", id="a whole number, as the shopkeeper says it"),
        pytest.param("T00012", "T00012", id="a terminal"),
        pytest.param("bar du port", "bar du port", id="a name"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_the_overflow_floor_cannot_find_a_number_out_digit_by_digit(text: str, overflow: str) -> None:
    assert searched_for(text, viewer=OVERFLOW) == overflow
    assert searched_for(text, viewer=OWN) == text
