"""Timelines of incidents: what shows itself when, and what is told of it."""

from dataclasses import replace

import numpy as np
import pytest

from diagnostics.snapshot import Bool
from diagnostics.tracking.maintenance import in_scope
from diagnostics.tracking.tracked import ChangeKind, Phase, Said
from diagnostics.troubles import Trouble
from tests.unit.diagnostics.tracked_fleet import FLEET, SIZE, Timeline, told

OFFLINE, NETWORK, TX_SLOW, CALLS = Trouble.OFFLINE, Trouble.NETWORK, Trouble.TX_SLOW, Trouble.CALLS
CARRIER = {"carrier": "beta", "region": "84"}
OPENED = "opened offline region=84 & carrier=beta"


def test_an_outage_opens_one_incident_with_its_scope_within_two_looks() -> None:
    line = Timeline()
    line.show(OFFLINE, **CARRIER)
    assert line.run(1 / 3) == [OPENED]
    assert line.run(10) == []
    (incident,) = line.living
    assert len(incident.rows) == in_scope(FLEET, CARRIER).sum()
    assert incident.evidence is not None
    assert incident.evidence.rate_inside == 1.0


def test_one_look_opens_nothing() -> None:
    line = Timeline()
    line.show(OFFLINE, **CARRIER)
    line.run(1 / 6)
    line.show(OFFLINE)
    assert line.run(5) == []


def test_scattered_terminals_are_no_incident() -> None:
    line = Timeline()
    rng = np.random.default_rng(3)

    def scatter(_: int) -> None:
        for trouble in (OFFLINE, NETWORK, Trouble.PRINTER):
            line.hits[trouble] = rng.random(SIZE) < line.usual

    assert line.run(120, each=scatter) == []


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_few_terminals_or_one_shop_and_its_neighbour_are_no_incident(count: int) -> None:
    line = Timeline()
    line.usual = 1e-6
    line.hits[OFFLINE] = np.arange(SIZE) < count
    assert line.run(10) == []


def test_it_clears_and_closes_when_its_terminals_are_well() -> None:
    line = Timeline()
    line.show(OFFLINE, **CARRIER)
    line.run(2)
    line.show(OFFLINE)
    assert line.run(2) == ["clearing offline region=84 & carrier=beta"]
    assert line.run(8) == ["closed offline region=84 & carrier=beta"]
    assert line.run(60) == []


def test_closed_shops_are_no_recovery() -> None:
    line = Timeline()
    line.show(OFFLINE, **CARRIER)
    line.run(2)
    line.judged &= ~in_scope(FLEET, CARRIER)
    assert line.run(600) == []
    assert [incident.phase for incident in line.living] == [Phase.OPEN]
    line.judged[:] = True
    assert line.run(5) == []


def test_our_own_late_pipeline_neither_opens_nor_closes() -> None:
    line = Timeline()
    line.show(OFFLINE, **CARRIER)
    line.run(2)
    line.late = True
    line.show(OFFLINE)
    line.show(NETWORK, model="B")
    assert line.run(60) == []


def test_what_comes_back_within_a_day_is_the_same_incident() -> None:
    line = Timeline()
    line.show(OFFLINE, **CARRIER)
    line.run(2)
    (first,) = line.living
    line.show(OFFLINE)
    line.run(120)
    line.show(OFFLINE, **CARRIER)
    assert line.run(2) == ["reopened offline region=84 & carrier=beta"]
    (again,) = line.living
    assert (again.key, again.reopened) == (first.key, 1)


def test_what_comes_back_after_more_than_a_day_is_another() -> None:
    line = Timeline()
    line.show(OFFLINE, **CARRIER)
    line.run(2)
    line.show(OFFLINE)
    line.run(10)
    line.now_ms += 25 * 3_600_000
    line.show(OFFLINE, **CARRIER)
    assert line.run(2) == [OPENED]


def test_what_comes_and_goes_is_told_once_and_stays_open() -> None:
    line = Timeline()
    words: list[str] = []
    for _ in range(8):
        line.show(OFFLINE, **CARRIER)
        words += line.run(3)
        line.show(OFFLINE)
        words += line.run(3)
    assert [word.split()[0] for word in words].count("flapping") == 1
    assert len(words) <= 9
    assert line.living[0].latched
    assert [word.split()[0] for word in line.run(70)] == ["closed"]


@pytest.mark.parametrize(
    ("cause", "consequence"),
    [(OFFLINE, CALLS), (NETWORK, TX_SLOW), (NETWORK, OFFLINE), (Trouble.MEMORY, Trouble.CRASHES), (OFFLINE, Trouble.CRASHES)],
)
def test_what_follows_from_an_incident_opens_none(cause: Trouble, consequence: Trouble) -> None:
    line = Timeline()
    line.show(cause, **CARRIER)
    assert len(line.run(5)) == 1
    line.show(consequence, 0.8, **CARRIER)
    assert line.run(10) == []
    line.show(cause)
    line.run(13)
    assert all(word.startswith(("clearing", "closed")) for word in line.run(10))


def test_the_same_trouble_elsewhere_is_no_consequence() -> None:
    line = Timeline()
    line.show(NETWORK, **CARRIER)
    line.run(5)
    line.show(TX_SLOW, lot="L02")
    assert line.run(5) == ["opened tx_slow lot=L02"]


def test_a_cause_found_later_takes_over_the_incident() -> None:
    line = Timeline()
    line.show(TX_SLOW, **CARRIER)
    assert line.run(5) == ["opened tx_slow region=84 & carrier=beta"]
    line.show(NETWORK, **CARRIER)
    assert line.run(5) == ["scope network region=84 & carrier=beta"]
    change = next(change for change in line.changes if change.kind is ChangeKind.SCOPE)
    assert change.details["trouble_from"] is TX_SLOW
    assert len(line.living) == 1


def test_two_faults_at_once_are_two_incidents() -> None:
    line = Timeline()
    line.show(NETWORK, 0.9, carrier="gamma", access="4g")
    line.show(Trouble.HEAT, 0.6, lot="L03")
    assert sorted(line.run(5)) == ["opened heat lot=L03", "opened network access=4g & carrier=gamma"]
    assert line.run(30) == []


def test_two_regions_without_a_line_are_two_incidents() -> None:
    line = Timeline()
    line.show(OFFLINE, department="59")
    line.show(OFFLINE, department="84", carrier="alpha")
    assert sorted(line.run(5)) == ["opened offline department=59", "opened offline department=84 & carrier=alpha"]


def test_a_wide_trouble_is_no_part_of_a_narrow_one_within_it() -> None:
    line = Timeline()
    line.show(TX_SLOW, 0.8, all="1")
    assert line.run(5) == ["opened tx_slow all"]
    line.show(OFFLINE, **CARRIER)
    assert line.run(30) == [OPENED]
    assert len(line.living) == 2


@pytest.mark.parametrize(
    ("one", "other", "lives"),
    [(NETWORK, TX_SLOW, NETWORK), (TX_SLOW, NETWORK, NETWORK), (OFFLINE, Trouble.CRASHES, OFFLINE), (OFFLINE, OFFLINE, OFFLINE)],
)
def test_two_incidents_at_the_same_terminals_become_that_of_the_cause(one: Trouble, other: Trouble, lives: Trouble) -> None:
    before = Timeline()
    before.show(NETWORK, **CARRIER)
    before.run(3)
    (like,) = before.living
    first, second = replace(like, trouble=one, key=1), replace(like, trouble=other, key=2, worst_hits=like.worst_hits - 1)
    after = Timeline(tracked=[first, second], at_ms=before.now_ms)
    after.show(one, **CARRIER)
    after.show(other, **CARRIER)
    words = after.run(2)
    assert [word.split()[0] for word in words] == ["merged"]
    assert [incident.trouble for incident in after.living] == [lives]
    assert after.changes[0].details["into"] == after.living[0].key
    assert after.run(30) == []


def test_a_scope_known_better_is_told_once() -> None:
    line = Timeline()
    line.show(OFFLINE, department="59")
    assert line.run(1) == ["opened offline department=59"]
    line.show(OFFLINE, region="32")
    assert line.run(5) == ["scope offline region=32", "grew offline region=32"]


def test_terminals_outside_of_a_better_scope_are_none_of_its() -> None:
    line = Timeline()
    line.show(OFFLINE, region="32")
    line.run(1 / 6)
    line.show(OFFLINE)
    line.show(OFFLINE, department="59")
    assert line.run(2) == ["opened offline department=59"]
    (incident,) = line.living
    assert incident.rows.tolist() == np.flatnonzero(in_scope(FLEET, {"department": "59"})).tolist()


def test_a_scope_known_for_long_does_not_drift_with_another_fault() -> None:
    line = Timeline()
    line.show(OFFLINE, 0.4, firmware="4.2.1", access="4g")
    assert line.run(20) == ["opened offline firmware=4.2.1 & access=4g"]
    line.show(OFFLINE, 0.4, firmware="4.3.0", access="4g", carrier="beta")
    line.run(30)
    first = min(line.living, key=lambda one: one.key)
    assert dict(first.scope) == {"firmware": "4.2.1", "access": "4g"}


def test_growth_is_told_when_it_has_come_to_rest() -> None:
    line = Timeline()
    line.show(OFFLINE, 0.3, department="59")
    line.run(2)
    line.show(OFFLINE, 0.9, department="59")
    assert line.run(5) == ["grew offline department=59"]
    assert line.run(30) == []


def test_many_incidents_of_one_trouble_become_a_family() -> None:
    line = Timeline()
    for lot, carrier in (("L01", "alpha"), ("L02", "beta"), ("L03", "gamma"), ("L04", "alpha")):
        line.show(OFFLINE, lot=lot, carrier=carrier)
    words = line.run(5)
    assert sum(word.startswith("opened") for word in words) == 4
    assert sum(word.startswith("parent") for word in words) == 3
    assert len({one.parent for one in line.living if one.parent}) == 1


def storm() -> Timeline:
    """Four incidents of one trouble, told as one."""
    line = Timeline()
    for lot, carrier in (("L01", "alpha"), ("L02", "beta"), ("L03", "gamma"), ("L04", "alpha")):
        line.show(OFFLINE, lot=lot, carrier=carrier)
    line.run(12)
    return line


def apart(words: list[str]) -> int:
    return sum(word.startswith("apart") for word in words)


def test_parts_that_outlive_their_storm_are_told_by_themselves() -> None:
    line = storm()
    (key,) = {one.parent for one in line.living if one.parent}
    over, *lasting = sorted(line.living, key=lambda one: one.key != key)
    line.hits[OFFLINE] = line.hits[OFFLINE] & ~in_scope(FLEET, over.scope_by_name)
    words = line.run(10)
    assert [word.split()[0] for word in words] == ["clearing", "closed", "apart", "apart", "apart"]
    assert [one.parent for one in line.living] == [None] * len(lasting)
    assert line.run(30) == []
    line.show(OFFLINE)
    assert [word.split()[0] for word in line.run(10)].count("closed") == 3


def test_a_storm_that_a_person_resolved_still_speaks_for_nobody() -> None:
    line = storm()
    (key,) = {one.parent for one in line.living if one.parent}
    words = line.run(1, said=[Said(ChangeKind.RESOLVED, key, line.now_ms)])
    assert [word.split()[0] for word in words] == ["apart"] * 3


def test_parts_that_end_with_their_storm_are_not_told_again() -> None:
    line = storm()
    line.show(OFFLINE)
    line.run(3)
    (key,) = {one.parent for one in line.living if one.parent}
    words = line.run(12, said=[Said(ChangeKind.RESOLVED, key, line.now_ms)])
    assert [word.split()[0] for word in words] == ["closed"] * 3


def test_a_part_that_was_clearing_when_its_storm_ended_and_comes_back_is_told_by_itself() -> None:
    line = storm()
    shown = line.hits[OFFLINE]
    (key,) = {one.parent for one in line.living if one.parent}
    over = next(one for one in line.living if one.key == key)
    line.show(OFFLINE)
    line.run(3)
    line.run(1, said=[Said(ChangeKind.RESOLVED, key, line.now_ms)])
    line.hits[OFFLINE] = shown & ~in_scope(FLEET, over.scope_by_name)
    words = [word.split()[0] for word in line.run(2)]
    assert sorted(words) == ["apart"] * 3 + ["reopened"] * 3


def test_after_a_restart_without_their_storm_parts_are_told_by_themselves() -> None:
    before = storm()
    (key,) = {one.parent for one in before.living if one.parent}
    after = Timeline(tracked=[one for one in before.living if one.key != key], at_ms=before.now_ms)
    after.hits = before.hits
    assert apart(after.run(1)) == 3


def test_parts_of_what_is_part_of_something_wider_are_parts_of_that() -> None:
    before = storm()
    (key,) = {one.parent for one in before.living if one.parent}
    wider = replace(before.living[0], key=1, parent=None, scope=(), rows=np.arange(SIZE), hit_ms=np.zeros(SIZE, np.int64))
    parts = [replace(one, parent=1) if one.key == key else one for one in before.living]
    after = Timeline(tracked=[wider, *parts], at_ms=before.now_ms)
    after.hits = before.hits
    after.run(1 / 6)
    assert {one.parent for one in after.living if one.key != 1} == {1}


def test_two_incidents_are_never_parts_of_each_other() -> None:
    line = storm()
    (key,) = {one.parent for one in line.living if one.parent}
    # One of the parts becomes the widest while the storm is young.
    tracked = [replace(one, worst_hits=10_000, opened_ms=line.now_ms) if one.key != key else one for one in line.living]
    after = Timeline(tracked=tracked, at_ms=line.now_ms)
    after.hits = line.hits
    after.run(3)
    assert {one.parent for one in after.living if one.key != key} == {key}
    assert next(one for one in after.living if one.key == key).parent is None


def test_a_restart_neither_loses_nor_doubles_nor_tells_again() -> None:
    before = Timeline()
    before.show(OFFLINE, **CARRIER)
    before.show(NETWORK, lot="L03")
    before.run(5)
    after = Timeline(tracked=before.living, at_ms=before.now_ms + 30_000)
    # The detector begins anew as well: at first it sees nothing.
    assert after.run(4) == []
    after.hits = before.hits
    assert after.run(30) == []
    assert sorted(one.key for one in after.living) == sorted(one.key for one in before.living)


def test_after_a_restart_what_is_well_closes() -> None:
    before = Timeline()
    before.show(OFFLINE, **CARRIER)
    before.run(5)
    after = Timeline(tracked=before.living, at_ms=before.now_ms + 30_000)
    words = after.run(25)
    assert [word.split()[0] for word in words] == ["clearing", "closed"]


def test_announced_work_mutes_and_ends() -> None:
    line = Timeline()
    work = in_scope(FLEET, {"model": "B"})
    line.muted = work
    line.down = work & (FLEET.shop % 3 == 0)
    words = line.run(10)
    assert words == ["opened offline model=B", "muted offline model=B"]
    assert line.living[0].muted
    line.muted = np.zeros(SIZE, bool)
    assert [word.split()[0] for word in line.run(20)] == ["clearing", "closed"]
    assert line.changes[-1].tracked.muted


def test_what_is_still_wrong_after_announced_work_is_told() -> None:
    line = Timeline()
    work = in_scope(FLEET, {"model": "B"})
    line.muted = line.down = work
    line.run(10)
    line.muted, line.hits[OFFLINE] = np.zeros(SIZE, bool), work
    assert line.run(3) == ["unmuted offline model=B"]
    assert not line.living[0].muted


def test_an_open_incident_is_muted_by_announced_work_and_told_again_after_it() -> None:
    line = Timeline()
    line.show(OFFLINE, **CARRIER)
    line.run(2)
    line.muted = in_scope(FLEET, {"region": "84"})
    assert line.run(20) == ["muted offline region=84 & carrier=beta"]
    line.muted = np.zeros(SIZE, bool)
    assert line.run(2) == ["unmuted offline region=84 & carrier=beta"]


def test_what_a_person_acknowledged_comes_back_acknowledged() -> None:
    line = Timeline()
    line.show(OFFLINE, **CARRIER)
    line.run(2)
    key = line.living[0].key
    assert line.run(1, said=[Said(ChangeKind.ACKNOWLEDGED, key, line.now_ms)]) == []
    assert line.living[0].phase is Phase.ACKNOWLEDGED
    line.show(OFFLINE)
    line.run(2)
    line.show(OFFLINE, **CARRIER)
    line.run(1)
    assert line.living[0].phase is Phase.ACKNOWLEDGED


def test_what_a_person_resolved_rests_and_then_comes_back() -> None:
    line = Timeline()
    line.show(OFFLINE, **CARRIER)
    line.run(2)
    key = line.living[0].key
    assert line.run(14, said=[Said(ChangeKind.RESOLVED, key, line.now_ms)]) == []
    assert line.run(5) == ["reopened offline region=84 & carrier=beta"]
    assert line.living[0].key == key


def test_what_a_person_resolved_rests_over_a_restart() -> None:
    before = Timeline()
    before.show(OFFLINE, **CARRIER)
    before.run(2)
    before.run(1, said=[Said(ChangeKind.RESOLVED, before.living[0].key, before.now_ms)])
    after = Timeline(tracked=before.tracker.tracked, at_ms=before.now_ms)
    after.hits = before.hits
    assert after.run(13) == []
    assert after.run(3) == ["reopened offline region=84 & carrier=beta"]


def test_a_part_of_a_wider_one_that_a_person_resolved_comes_back_under_its_own_key() -> None:
    line = Timeline()
    for lot, carrier in (("L01", "alpha"), ("L02", "beta"), ("L03", "gamma"), ("L04", "alpha")):
        line.show(OFFLINE, lot=lot, carrier=carrier)
    line.run(5)
    one = next(one for one in line.living if one.parent)
    assert line.run(14, said=[Said(ChangeKind.RESOLVED, one.key, line.now_ms)]) == []
    assert [word.split()[0] for word in line.run(5)] == ["reopened"]
    assert one.key in {living.key for living in line.living}


def test_an_unchanged_world_changes_nothing() -> None:
    line = Timeline()
    line.show(OFFLINE, **CARRIER)
    line.show(Trouble.PRINTER, 0.3, firmware="4.3.0", model="B")
    line.run(10)
    begun = len(line.changes)
    line.run(240)
    assert [told(change) for change in line.changes[begun:]] == []


def test_evidence_that_is_made_anew_is_stored_although_nothing_else_changes() -> None:
    line = Timeline()
    line.show(OFFLINE, 0.4, **CARRIER)
    line.run(2)
    line.show(OFFLINE, **CARRIER)
    line.run(12)
    evidence = line.living[0].evidence
    assert evidence is not None
    assert evidence.rate_inside > 0.8
    assert line.changes[-1].tracked.evidence == evidence


def _few(share: float) -> Bool:
    """This share of the fleet, anywhere."""
    return np.random.default_rng(7).random(SIZE) < share


def test_a_centre_that_begins_to_answer_slowly_is_told_while_few_feel_it() -> None:
    line = Timeline()
    line.hits[Trouble.TX_SLOW] = _few(0.025)
    assert [word.split()[:2] for word in line.run(1)] == [["opened", "tx_slow"]]


def test_a_few_who_run_hot_all_over_the_fleet_are_no_incident() -> None:
    line = Timeline()
    line.hits[Trouble.HEAT] = _few(0.025)
    assert line.run(30) == []


def test_the_last_who_feel_a_slow_centre_that_is_over_are_not_its_return() -> None:
    line = Timeline()
    line.hits[Trouble.TX_SLOW] = _few(0.5)
    line.run(10)
    line.show(Trouble.TX_SLOW)
    assert [word.split()[0] for word in line.run(30)] == ["clearing", "closed"]
    line.hits[Trouble.TX_SLOW] = _few(0.025)
    assert line.run(10) == []
    line.hits[Trouble.TX_SLOW] = _few(0.5)
    assert [word.split()[0] for word in line.run(2)][:1] == ["reopened"]


def test_of_two_troubles_that_bring_each_other_about_the_plainer_one_is_told_at_once() -> None:
    line = Timeline()
    line.hits[Trouble.TX_SLOW], line.hits[Trouble.TX_FAILING] = _few(0.5), _few(0.03)
    words = line.run(1 / 2)
    assert [word.split()[:2] for word in words] == [["opened", "tx_slow"]]
