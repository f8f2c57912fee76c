import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.phone_numbers import read_number, show_number


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("0199001234", "+33199001234", id="national"),
        pytest.param("01 99 00 12 34", "+33199001234", id="national with spaces"),
        pytest.param("01.99.00.12.34", "+33199001234", id="national with dots"),
        pytest.param("01-99-00-12-34", "+33199001234", id="national with hyphens"),
        pytest.param("+33199001234", "+33199001234", id="E.164"),
        pytest.param("+33 (0)1 99 00 12 34", "+33199001234", id="the trunk zero in brackets"),
        pytest.param("+330199001234", "+33199001234", id="the trunk zero kept by mistake"),
        pytest.param("0033199001234", "+33199001234", id="international prefix 00"),
        pytest.param("33199001234", "+33199001234", id="country code without plus, as Zammad's examples"),
        pytest.param("199001234", "+33199001234", id="leading zero dropped by the exchange"),
        pytest.param("00199001234", "+33199001234", id="a zero for the outside line"),
        pytest.param("0639981234", "+33639981234", id="mobile kept for fiction"),
        pytest.param("0612345678", "+33612345678", id="mobile"),
        pytest.param("0712345678", "+33712345678", id="mobile in 07"),
        pytest.param("0590123456", "+590590123456", id="Guadeloupe"),
        pytest.param("0594123456", "+594594123456", id="Guiana"),
        pytest.param("0596123456", "+596596123456", id="Martinique"),
        pytest.param("0262123456", "+262262123456", id="Réunion"),
        pytest.param("0269123456", "+262269123456", id="Mayotte"),
        pytest.param("0690123456", "+590690123456", id="Guadeloupe mobile"),
        pytest.param("0691123456", "+590691123456", id="Guadeloupe mobile, newer"),
        pytest.param("0692123456", "+262692123456", id="Réunion mobile"),
        pytest.param("0693123456", "+262693123456", id="Réunion mobile, newer"),
        pytest.param("0694123456", "+594694123456", id="Guiana mobile"),
        pytest.param("0696123456", "+596696123456", id="Martinique mobile"),
        pytest.param("0697123456", "+596697123456", id="Martinique mobile, newer"),
        pytest.param("0639012345", "+262639012345", id="Mayotte mobile"),
        pytest.param("+262262123456", "+262262123456", id="Réunion, E.164"),
        pytest.param("00262262123456", "+262262123456", id="Réunion, 00"),
        pytest.param("262262123456", "+262262123456", id="Réunion, without plus"),
        pytest.param("+33262123456", "+262262123456", id="Réunion wrongly put under +33"),
        pytest.param("+262 0262 12 34 56", "+262262123456", id="Réunion with the trunk zero kept"),
        pytest.param("sip:0199001234@host;user=phone", "+33199001234", id="SIP URI"),
        pytest.param("sip:+33199001234@10.0.0.1:5060", "+33199001234", id="SIP URI, E.164"),
        pytest.param("sips:%2B33199001234@host", "+33199001234", id="SIP URI with an escaped plus"),
        pytest.param('"Bar du Port" <sip:0262123456@pbx>', "+262262123456", id="SIP address with a name"),
        pytest.param("tel:+33-1-99-00-12-34;phone-context=x", "+33199001234", id="tel URI"),
        pytest.param("493055571600", "+493055571600", id="German number without plus"),
        pytest.param("+32 2 555 12 34", "+3225551234", id="Belgian number"),
        pytest.param("anonymous", None, id="withheld"),
        pytest.param("sip:anonymous@anonymous.invalid", None, id="withheld, SIP"),
        pytest.param("", None, id="empty"),
        pytest.param("   ", None, id="blank"),
        pytest.param("42", None, id="internal extension of two digits"),
        pytest.param("4021", None, id="internal extension of four digits"),
        pytest.param("3624", None, id="short national service"),
        pytest.param("jdoe", None, id="a login"),
        pytest.param("0199", None, id="cut off"),
        pytest.param("01990012345678", None, id="too long"),
        pytest.param("+999199001234", None, id="no such country"),
        pytest.param("٠١٩٩٠٠١٢٣٤", None, id="other scripts' digits"),
    ],
)
def test_reads_numbers_as_they_are_written(text: str, expected: str | None) -> None:
    assert read_number(text) == expected


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_without_an_error(text: str) -> None:
    number = read_number(text)
    assert number is None or (number.startswith("+") and number[1:].isdigit())


@given(st.sampled_from(["1", "2", "3", "4", "5", "6", "7", "9"]), st.integers(0, 99_999_999))
def test_what_was_read_reads_as_itself(first: str, rest: int) -> None:
    number = read_number(f"0{first}{rest:08d}")
    assert number is not None
    assert read_number(number) == number
    assert read_number(show_number(number)) == number


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("+33199001234", "01 99 00 12 34"),
        ("+262262123456", "0262 12 34 56"),
        ("+493055571600", "+49 30 55571600"),
        ("4021", "4021"),
        ("", ""),
    ],
)
def test_numbers_are_shown_as_people_write_them(text: str, shown: str) -> None:
    assert show_number(text) == shown
