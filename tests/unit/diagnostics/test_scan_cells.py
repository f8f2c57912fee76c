"""What the cells of a fleet hold."""

import numpy as np
import pytest

from diagnostics.scan.cells import NOWHERE, WHOLE, CellIndex
from fleet.registry import DIMENSIONS
from tests.unit.diagnostics.scanned_fleet import TERMINALS, fleet_index, rows_where


def small(codes: list[list[int]], **options: int) -> CellIndex:
    table = np.array(codes, np.int16)
    return CellIndex(table, [[f"{dim}{code}" for code in range(10)] for dim in range(table.shape[1])], **options)


def scopes(index: CellIndex) -> set[tuple[tuple[int, int], ...]]:
    return {index.scope(cell) for cell in range(index.count) if cell != NOWHERE}


def test_the_first_cell_is_the_whole_fleet() -> None:
    index = fleet_index()
    assert index.scope(WHOLE) == ()
    assert index.rows(WHOLE).tolist() == list(range(TERMINALS))


def test_a_cell_holds_the_terminals_that_meet_its_conditions() -> None:
    index = fleet_index()
    for cell in np.random.default_rng(1).choice(np.arange(2, index.count), 300, replace=False).tolist():
        rows = index.rows(cell)
        assert rows.tolist() == index.rows_of(index.scope(cell)).tolist()
        assert len(rows) == index.size[cell] >= 3
        assert (index.ids[rows, index.column[cell]] == cell).all()


def test_no_conjunction_names_what_another_of_its_conditions_implies() -> None:
    named = [{DIMENSIONS[dim] for dim in dims} for dims in fleet_index().combinations]
    for implied in ({"department", "region"}, {"agency", "region"}, {"lot", "model"}):
        assert not any(implied <= dims for dims in named)
    assert {"region", "model", "firmware"} in named


def test_a_conjunction_that_holds_the_terminals_of_a_shorter_one_is_left_out() -> None:
    # Value 0 of the first dimension comes only with value 0 of the second.
    index = small([[0, 0]] * 4 + [[1, 0]] * 4 + [[1, 1]] * 4)
    assert scopes(index) == {(), ((0, 0),), ((0, 1),), ((1, 0),), ((1, 1),), ((0, 1), (1, 0))}


def test_a_dimension_with_one_value_names_nothing() -> None:
    assert scopes(small([[0, 0]] * 4 + [[0, 1]] * 4)) == {(), ((1, 0),), ((1, 1),)}


def test_of_two_values_that_name_the_same_terminals_the_earlier_dimension_speaks() -> None:
    """Value 0 of the first dimension is value 2 of the second, as the department 974 is the region 04."""
    index = small([[0, 2, 0]] * 4 + [[0, 2, 1]] * 4 + [[1, 0, 0]] * 4 + [[1, 1, 1]] * 4 + [[2, 1, 0]] * 4)
    assert ((0, 0),) in scopes(index)
    assert ((0, 0), (2, 1)) in scopes(index)
    assert not any((1, 2) in scope for scope in scopes(index))
    assert {((1, 0),), ((1, 1),)} <= scopes(index)


def test_an_overseas_department_is_not_told_by_its_region_or_agency() -> None:
    index, reunion = fleet_index(), rows_where(department="974")
    same = [cell for cell in np.flatnonzero(index.size == len(reunion)).tolist() if np.array_equal(index.rows(cell), reunion)]
    assert [index.words(index.scope(cell), DIMENSIONS) for cell in same] == [{"department": "974"}]


def test_an_unknown_value_is_in_no_cell_of_its_dimension() -> None:
    index = small([[-1, 0]] * 4 + [[0, 0]] * 4 + [[1, 1]] * 4)
    unknown = set(range(4))
    assert all(unknown.isdisjoint(index.rows(cell)) for cell in range(index.count) if 0 in dict(index.scope(cell)))
    assert unknown <= set(index.rows_of(((1, 0),)))


@pytest.mark.parametrize(("least", "there"), [(3, False), (2, True)])
def test_cells_smaller_than_an_incident_are_left_out(least: int, there: bool) -> None:
    index = small([[0, 0]] * 2 + [[0, 1]] * 5 + [[1, 0]] * 5 + [[1, 1]] * 5, min_terminals=least)
    assert (((0, 0), (1, 0)) in scopes(index)) is there


def test_sums_are_those_of_the_members_however_many_cells_are_asked_for() -> None:
    index, rng = fleet_index(), np.random.default_rng(3)
    values = rng.random(TERMINALS)
    all_of_them = index.all_sums(values)
    for count in (1, 40, index.count - 2):
        cells = rng.choice(np.arange(2, index.count), count, replace=False)
        (some,) = index.sums(cells, [values])
        assert some == pytest.approx(all_of_them[cells])
        assert some[0] == pytest.approx(values[index.rows(int(cells[0]))].sum())


def test_an_empty_fleet_has_only_itself() -> None:
    assert scopes(CellIndex(np.zeros((0, 2), np.int16), [["a"], ["b"]])) == {()}


def test_the_index_fits_its_memory() -> None:
    assert 1e6 < fleet_index().nbytes < 150e6
