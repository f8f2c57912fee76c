"""The registry's files: what is read, and how each fault is told."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.departments import REGION_OF, timezone_of
from fleet.errors import RegistryError
from fleet.numbering import to_e164
from fleet.registry_csv import POINT_COLUMNS, TERMINAL_COLUMNS, RegistryFiles, check, read_files
from hotline.phone_numbers import read_number
from simulators.world import build_world

POINTS = ",".join(POINT_COLUMNS)
TERMINALS = ",".join(TERMINAL_COLUMNS)
SHOP = 'P1,"Bar ""X""",59,32,AG01,Europe/Paris,Mo-Sa 07:00-20:00; Su 08:00-13:00,+33199001234|01 99 00 12 35'
TERMINAL = "T00001,P1,B,2,4.2.1,fibre,alpha,L09"


def read(points: str = f"{POINTS}\n{SHOP}\n", terminals: str = f"{TERMINALS}\n{TERMINAL}\n") -> RegistryFiles:
    return check("points.csv", points.encode(), "terminals.csv", terminals.encode())


def problems(points: str = f"{POINTS}\n{SHOP}\n", terminals: str = f"{TERMINALS}\n{TERMINAL}\n") -> list[str]:
    with pytest.raises(RegistryError) as caught:
        read(points, terminals)
    return caught.value.problems


def test_good_files_are_read() -> None:
    files = read()
    [shop] = files.points_of_sale
    [terminal] = files.terminals
    assert (shop.name, shop.opening_hours) == ('Bar "X"', "Mo-Sa 07:00-20:00; Su 08:00-13:00")
    assert shop.phones == ("+33199001234", "+33199001235")
    assert (terminal.terminal, terminal.point_of_sale, terminal.lot) == ("T00001", "P1", "L09")
    assert files.warnings == []


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda text: "\ufeff" + text, id="byte-order mark"),
        pytest.param(lambda text: text.replace("\n", "\r\n"), id="lines of Windows"),
        pytest.param(lambda text: text + "\n\n", id="empty lines"),
        pytest.param(lambda text: text.rstrip("\n"), id="no last line end"),
        pytest.param(lambda text: text.replace("code,name", " Code , NAME "), id="header in capitals, with spaces"),
        pytest.param(lambda text: text.replace("\n", ",x\n").replace("phones,x", "phones,note"), id="further column"),
    ],
)
def test_forms_of_a_spreadsheet_make_no_difference(change: Callable[[str], str]) -> None:
    assert read(change(f"{POINTS}\n{SHOP}\n")).points_of_sale == read().points_of_sale


def test_semicolons_separate_when_the_header_says_so() -> None:
    shop = 'P1;Bar;59;32;AG01;Europe/Paris;"Mo-Sa 07:00-20:00; Su off";0199001234'
    files = read(POINTS.replace(",", ";") + "\n" + shop + "\n")
    assert files.points_of_sale[0].opening_hours == "Mo-Sa 07:00-20:00; Su off"


def shop(**changes: str) -> str:
    values = dict(
        zip(POINT_COLUMNS, ("P1", "Bar", "59", "32", "AG01", "Europe/Paris", "24/7", ""), strict=True),
        **changes,
    )
    return f"{POINTS}\n" + ",".join(f'"{values[column]}"' for column in POINT_COLUMNS) + "\n"


def terminal(**changes: str) -> str:
    values = dict(zip(TERMINAL_COLUMNS, TERMINAL.split(","), strict=True), **changes)
    return f"{TERMINALS}\n" + ",".join(values[column] for column in TERMINAL_COLUMNS) + "\n"


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        pytest.param(shop(department="99"), "line 2, department '99': is no department", id="department"),
        pytest.param(shop(region="84"), "line 2, region '84': is not the region of department 59: write 32", id="region"),
        pytest.param(shop(timezone="Paris"), "line 2, timezone 'Paris': is no time zone: write Europe/Paris", id="time zone"),
        pytest.param(shop(opening_hours="9-5"), "line 2, opening_hours '9-5': cannot read '9-5'", id="opening hours"),
        pytest.param(shop(phones="12"), "line 2, phones '12': is no telephone number", id="telephone"),
        pytest.param(shop(name=""), "line 2, name '': empty", id="empty"),
        pytest.param(shop(name="x" * 201), "…': longer than 200 characters", id="too long"),
        pytest.param(shop(name="a\x00b"), "holds a control character", id="control character"),
        pytest.param(shop(name="a\nb"), "line 2, name 'a\\nb': holds a control character or a line break", id="line break"),
        pytest.param(shop(code="P 1"), "line 2, code 'P 1': is no code", id="code"),
        pytest.param(f"{POINTS}\nP1,Bar\n", "line 2: has 2 values, the header 8", id="too few values"),
        pytest.param(f"{POINTS.replace(',region', '')}\n", "line 1: column region missing", id="missing column"),
        pytest.param(f"{POINTS},code\n", "line 1: column code is named twice", id="column twice"),
        pytest.param("", "line 1: column code, name", id="empty file"),
        pytest.param(f'{POINTS}\n"P1,Bar', "line 2: not CSV from here on", id="open quote"),
    ],
)
def test_a_fault_of_a_shop_names_line_column_value_and_remedy(points: str, expected: str) -> None:
    found = problems(points)
    assert any(problem.startswith("points.csv") and expected in problem for problem in found), found


@pytest.mark.parametrize(
    ("terminals", "expected"),
    [
        pytest.param(terminal(terminal="T1"), "line 2, terminal 'T1': is no terminal id", id="id"),
        pytest.param(terminal(access="isdn"), "line 2, access 'isdn': is no access: write one of adsl", id="access"),
        pytest.param(terminal(model=""), "line 2, model '': empty", id="model"),
        pytest.param(terminal(point_of_sale="P9"), "line 2, point_of_sale 'P9': is no shop of points.csv", id="unknown shop"),
        pytest.param(f"{TERMINALS}\n{TERMINAL}\n\n{TERMINAL}\n", "line 4, terminal 'T00001': is already on line 2", id="twice"),
    ],
)
def test_a_fault_of_a_terminal_names_line_column_value_and_remedy(terminals: str, expected: str) -> None:
    [found] = problems(terminals=terminals)
    assert found.startswith("terminals.csv, ")
    assert expected in found


def test_a_file_that_is_not_utf8_says_where() -> None:
    with pytest.raises(RegistryError, match="line 2: not UTF-8"):
        check("points.csv", f"{POINTS}\nP1,Caf\xe9".encode("latin-1"), "terminals.csv", b"")


def test_every_problem_of_both_files_is_listed() -> None:
    found = problems(shop(department="99", timezone="x", phones="1|2"), terminal(terminal="x", access="y"))
    assert len(found) == 6


def test_terminals_of_a_wrong_shop_are_not_blamed_for_it() -> None:
    assert len(problems(shop(department="99"))) == 1


def test_a_shop_without_terminal_and_a_strange_time_zone_are_only_warned_of() -> None:
    files = read(shop(code="P1", timezone="Indian/Reunion") + shop(code="P2").split("\n")[1] + "\n")
    assert len(files.warnings) == 2
    assert "line 2, timezone 'Indian/Reunion': department 59 keeps Europe/Paris" in files.warnings[0]
    assert "line 3, code 'P2': has no terminal in terminals.csv" in files.warnings[1]


def test_a_file_that_is_not_there_is_a_problem_like_others(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="cannot be read: No such file"):
        read_files(tmp_path / "a.csv", tmp_path / "b.csv")


def test_the_generated_world_passes(tmp_path: Path) -> None:
    world = build_world(3, terminals=400)
    files = read_files(*world.write_csv(tmp_path))
    assert (len(files.points_of_sale), len(files.terminals), files.warnings) == (250, 400, [])


def test_every_department_has_a_region_and_a_zone() -> None:
    assert len(REGION_OF) == 101
    assert len(set(REGION_OF.values())) == 18
    assert {timezone_of(department) for department in ("59", "974")} == {"Europe/Paris", "Indian/Reunion"}


@pytest.mark.parametrize(
    ("written", "e164"),
    [
        pytest.param("01 99 00 12 34", "+33199001234", id="national"),
        pytest.param("+33 (0)1.99.00.12.34", "+33199001234", id="with the optional zero"),
        pytest.param("0033199001234", "+33199001234", id="international prefix"),
        pytest.param("0262 12 34 56", "+262262123456", id="Réunion, national"),
        pytest.param("+33262123456", "+262262123456", id="Réunion under the mainland's code"),
        pytest.param("0596 12 34 56", "+596596123456", id="Martinique, national"),
        pytest.param("0639 98 12 34", "+33639981234", id="fiction within Mayotte's range"),
        pytest.param("+32 2 555 12 34", "+3225551234", id="abroad"),
        pytest.param("+331990012345", None, id="too long"),
        pytest.param("12", None, id="too short"),
        pytest.param("call me", None, id="words"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_numbers_of_the_registry_and_of_calls_meet(written: str, e164: str | None) -> None:
    assert to_e164(written) == e164
    if e164 is not None:
        assert read_number(written) == e164
