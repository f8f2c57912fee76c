import numpy as np

from fleet.contract import EventCode
from simulators.happenings import Agenda


def codes(agenda: Agenda, until_s: int) -> list[tuple[int, EventCode]]:
    return [(event.second, event.code) for event in agenda.due(until_s)]


def test_events_are_told_once_at_their_second_in_order() -> None:
    agenda = Agenda(2)
    agenda.tell(30, 1, EventCode.PAPER_JAM)
    agenda.tell(10, 0, EventCode.OPEN)
    agenda.tell(20, 1, EventCode.OPEN)
    assert codes(agenda, 20) == [(10, EventCode.OPEN)]
    assert codes(agenda, 31) == [(20, EventCode.OPEN), (30, EventCode.PAPER_JAM)]
    assert codes(agenda, 99) == []


def test_who_is_off_tells_nothing_and_reboots_when_back() -> None:
    agenda = Agenda(2)
    agenda.restart(1, from_s=10, back_s=50, detail="unexpected: power loss")
    for second in (9, 10, 49, 50):
        agenda.tell(second, 1, EventCode.COVER_OPEN)
    assert codes(agenda, 100) == [(9, EventCode.COVER_OPEN), (50, EventCode.COVER_OPEN), (50, EventCode.REBOOT)]
    assert [agenda.powered(t).tolist() for t in (9, 10, 49, 50)] == [[True, True], [True, False], [True, False], [True, True]]


def test_of_two_absences_the_longer_wins_with_one_reboot() -> None:
    agenda = Agenda(1)
    agenda.restart(0, from_s=10, back_s=50, detail="unexpected: application crash")
    agenda.restart(0, from_s=30, back_s=90, detail="unexpected: power loss")
    agenda.restart(0, from_s=40, back_s=60, detail="expected: weekly restart")
    told = agenda.due(100)
    assert [(event.second, event.detail) for event in told] == [(90, "unexpected: power loss")]
    assert np.array([agenda.powered(t)[0] for t in (9, 10, 50, 60, 89, 90)]).tolist() == [True, False, False, False, False, True]


def test_a_later_absence_begins_anew() -> None:
    agenda = Agenda(1)
    agenda.restart(0, from_s=10, back_s=20, detail="a")
    agenda.restart(0, from_s=30, back_s=40, detail="b")
    assert agenda.is_off(0, 35)
    assert not agenda.is_off(0, 25)
