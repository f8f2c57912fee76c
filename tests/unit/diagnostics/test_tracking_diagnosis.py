"""The diagnosis as a whole on a small fleet's feed: what comes in as samples goes out as judgement, incidents and plots."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from diagnostics.detector.calibration import Calibration
from diagnostics.detector.observed import Calls, Fleet, Observed
from diagnostics.judgement import Judgement, unjudged
from diagnostics.limits import Policy
from diagnostics.reasons import Reason, State
from diagnostics.snapshot import Bool, Snapshot
from diagnostics.tracking.diagnosis import Diagnosis
from diagnostics.tracking.learnt import Learnt, LearntError
from diagnostics.tracking.maintenance import Window, in_scope, muted_terminals
from diagnostics.tracking.tracked import Change, ChangeKind, Point, Tracked
from diagnostics.troubles import TROUBLE_INDEX, Trouble
from fleet.contract import SAMPLE_FIELDS
from fleet.registry import DIMENSIONS
from tests.unit.diagnostics.tracked_fleet import FLEET, SIZE, told

# A Tuesday, 10:00 in Paris.
TEN_MS = int(datetime(2026, 11, 24, 9, tzinfo=UTC).timestamp()) * 1000
POLICY = Policy()
WELL = {
    "tickets": 2.0, "rejects": 0.0, "tx_ms": 400.0, "tx_timeouts": 0.0, "rtt_ms": 40.0, "loss_pct": 0.2, "signal_dbm": float("nan"),
    "print_errors": 0.0, "paper_pct": 60.0, "scans": 2.0, "scan_errors": 0.0, "cpu_pct": 20.0, "mem_mb": 900.0, "disk_mb": 5000.0,
    "board_c": 45.0, "clock_ms": 20.0, "uptime_s": 90_000.0, "head_c": 35.0,
}  # fmt: skip
_NO_ROWS = np.zeros(0, np.intp)
_NO_TIMES = np.zeros(0, np.int64)


class House:
    """A fleet whose every terminal reports each 30 s, in three phases, and a diagnosis that hears it."""

    def __init__(self, *, learnt: Learnt | None = None, tracked: Sequence[Tracked] = (), at_ms: int = TEN_MS) -> None:
        self.now_ms = at_ms
        self.rng = np.random.default_rng(8)
        self.away: Bool = np.zeros(SIZE, bool)
        self.slow: Bool = np.zeros(SIZE, bool)
        self.maintenance: tuple[Window, ...] = ()
        self.changes: list[Change] = []
        self.series: list[Point] = []
        snapshot = Snapshot([name.decode() for name in FLEET.terminals], ["B"] * SIZE)
        snapshot.presence[:], snapshot.presence_ms[:] = 1, at_ms - 7_200_000
        self.diagnosis = Diagnosis(
            FLEET, policy=POLICY, calibration=Calibration(), learnt=learnt, tracked=tracked, snapshot=snapshot,
            judgement=unjudged(SIZE, policy=POLICY, now_ms=at_ms),
        )  # fmt: skip

    def samples(self, rows: Any) -> Any:
        values = np.tile(np.array([WELL[name] for name in SAMPLE_FIELDS], np.float32), (len(rows), 1))
        values *= 1 + 0.02 * self.rng.standard_normal(values.shape).astype(np.float32)
        values[:, SAMPLE_FIELDS.index("tx_ms")] *= np.where(self.slow[rows], 4, 1)
        for counted in ("tickets", "scans"):
            values[:, SAMPLE_FIELDS.index(counted)] = 2
        return values

    def learn(self, days: int = 3) -> None:
        for step in range(days * 288, 0, -4):
            at_s = self.now_ms // 1000 - step * 300
            every = np.arange(SIZE)
            self.diagnosis.learn(at_s=at_s, rows=every, values=self.samples(every), is_open=np.ones(SIZE, bool))

    def run(self, minutes: float) -> list[str]:
        begun = len(self.changes)
        for _ in range(round(minutes * 6)):
            self.now_ms += 10_000
            rows = np.flatnonzero((np.arange(SIZE) % 3 == self.now_ms // 10_000 % 3) & ~self.away)
            times = np.full(len(rows), self.now_ms - 500, np.int64)
            seen = Observed(
                rows, times, times + 200, self.samples(rows), _NO_ROWS, _NO_ROWS, _NO_TIMES, _NO_TIMES, np.zeros(0, bool),
                Calls(np.zeros(0, np.int32), _NO_TIMES),
            )  # fmt: skip
            self.diagnosis.snapshot.fed_ms = self.now_ms
            step = self.diagnosis.step(
                seen, now_ms=self.now_ms, scheduled=np.ones(SIZE, bool), boundary_ms=np.full(SIZE, TEN_MS - 7_200_000, np.int64),
                maintenance=self.maintenance,
            )  # fmt: skip
            self.changes += step.changes
            self.series += step.series
            self.signs, self.judged = step.signs, step.judged
        return [told(change) for change in self.changes[begun:] if change.kind is not ChangeKind.FIGURES]


@pytest.fixture(scope="module")
def learnt() -> Learnt:
    house = House()
    house.learn()
    return house.diagnosis.learnt()


CARRIER = {"carrier": "beta", "region": "84"}
OPENED = "opened offline region=84 & carrier=beta"


def test_an_outage_is_an_incident_within_two_minutes_with_its_plots(learnt: Learnt) -> None:
    house = House(learnt=learnt)
    assert house.run(40) == []
    house.away = in_scope(FLEET, CARRIER)
    assert house.run(2) == [OPENED]
    (incident,) = [one for one in house.diagnosis.tracked if one.lives]
    assert set(incident.rows.tolist()) <= set(np.flatnonzero(house.away).tolist())
    house.run(3)
    minutes = [point.at_ms for point in house.series]
    assert minutes == sorted(set(minutes))
    # From half an hour before its beginning on, a point each minute.
    assert 30 <= len([at for at in minutes if at <= incident.began_ms]) <= 31
    assert house.series[0].inside_hit == 0
    assert house.series[-1].inside_hit == house.series[-1].inside == house.away.sum()
    assert house.series[-1].outside_hit == 0


def test_what_is_felt_at_each_terminal_becomes_its_reason(learnt: Learnt) -> None:
    house = House(learnt=learnt)
    house.run(5)
    house.slow = in_scope(FLEET, {"lot": "L02"})
    words = house.run(15)
    assert words[0] == "opened tx_slow lot=L02"
    assert house.judged.has(Reason.TX_SLOW)[house.slow].mean() > 0.9
    assert house.judged.is_state(State.DEGRADED)[house.slow].mean() > 0.9
    assert not house.judged.has(Reason.TX_SLOW)[~house.slow].any()
    evidence = next(one.evidence for one in house.diagnosis.tracked if one.lives)
    assert evidence is not None
    assert evidence.leading[0].metric == "tx_ms"
    assert house.series[-1].z["tx_ms"][0] > 3 > house.series[-1].z["tx_ms"][1]


def test_a_restart_goes_on_where_it_stopped(learnt: Learnt) -> None:
    before = House(learnt=learnt)
    before.run(5)
    before.away = in_scope(FLEET, CARRIER)
    before.run(5)
    state = Learnt.from_bytes(before.diagnosis.learnt().to_bytes(), layout=Learnt.LAYOUT)
    after = House(learnt=state, tracked=[one for one in before.diagnosis.tracked if one.lives], at_ms=before.now_ms + 60_000)
    after.away = before.away
    assert after.run(15) == []
    assert all(point.at_ms > before.now_ms for point in after.series)
    after.away = np.zeros(SIZE, bool)
    assert [word.split()[0] for word in after.run(15)] == ["clearing", "closed"]


def test_when_firmware_changed_is_known_after_a_restart(learnt: Learnt) -> None:
    house = House(learnt=learnt)
    column = DIMENSIONS.index("firmware")
    codes, levels = FLEET.codes.copy(), [[*names] for names in FLEET.levels]
    levels[column].append("9.9.9")
    codes[:3, column] = len(levels[column]) - 1
    renewed = replace(FLEET, codes=codes, levels=levels)
    moved = house.diagnosis.carried_to(renewed, models=["B"] * SIZE, now_ms=house.now_ms)
    assert moved.learnt().firmware_changed_for(FLEET).tolist() == [house.now_ms] * 3 + [0] * (SIZE - 3)
    after = House(learnt=Learnt.from_bytes(moved.learnt().to_bytes()))
    assert after.diagnosis.looks.firmware_changed_ms[:4].tolist() == [house.now_ms] * 3 + [0]


def test_announced_work_is_neither_judged_nor_an_incident(learnt: Learnt) -> None:
    house = House(learnt=learnt)
    house.run(5)
    house.maintenance = (Window({"model": "B"}, house.now_ms, house.now_ms + 30 * 60_000),)
    house.slow = in_scope(FLEET, {"model": "B"})
    assert house.run(20) == []
    assert not house.signs.symptom[:, TROUBLE_INDEX[Trouble.TX_SLOW]].any()
    house.slow = np.zeros(SIZE, bool)
    assert house.run(20) == []


def test_a_changed_registry_keeps_incidents_and_their_terminals(learnt: Learnt) -> None:
    house = House(learnt=learnt)
    house.run(5)
    house.away = in_scope(FLEET, CARRIER)
    house.run(5)
    (before,) = [one for one in house.diagnosis.tracked if one.lives]
    kept = np.arange(2, SIZE)
    smaller = Fleet(FLEET.terminals[kept], FLEET.codes[kept], FLEET.levels, FLEET.shop[kept] - 1, FLEET.zone[kept], FLEET.timezones)
    moved = house.diagnosis.carried_to(smaller, models=["B"] * len(kept), now_ms=house.now_ms)
    (after,) = [one for one in moved.tracked if one.lives]
    assert after.key == before.key
    names = set(FLEET.terminals[before.rows].tolist()) & set(smaller.terminals.tolist())
    assert set(smaller.terminals[after.rows].tolist()) == names
    assert len(moved.judgement.state) == len(moved.snapshot) == len(kept)


def test_a_registry_that_changes_each_minute_delays_nothing(learnt: Learnt) -> None:
    house = House(learnt=learnt)
    house.run(5)
    house.slow = in_scope(FLEET, {"lot": "L02"})
    words: list[str] = []
    for _ in range(12):
        words += house.run(1)
        house.diagnosis = house.diagnosis.carried_to(FLEET, models=["B"] * SIZE, now_ms=house.now_ms)
    assert words[0] == "opened tx_slow lot=L02"
    # The half hour before it is not lost either, as far as there was one.
    first = min(point.at_ms for point in house.series)
    assert first <= TEN_MS + 120_000


def test_a_changed_firmware_is_evidence(learnt: Learnt) -> None:
    house = House(learnt=learnt)
    house.run(1)
    column = DIMENSIONS.index("firmware")
    codes = FLEET.codes.copy()
    updated = in_scope(FLEET, {"firmware": "4.2.1", "model": "B"})
    codes[updated, column] = FLEET.levels[column].index("4.3.0")
    changed = Fleet(FLEET.terminals, codes, FLEET.levels, FLEET.shop, FLEET.zone, FLEET.timezones)
    house.diagnosis = house.diagnosis.carried_to(changed, models=["B"] * SIZE, now_ms=house.now_ms)
    house.slow = updated
    house.run(15)
    (evidence,) = [one.evidence for one in house.diagnosis.tracked if one.lives]
    assert evidence is not None
    assert evidence.firmware_changed_share == 1.0
    assert evidence.firmware_changed_h == pytest.approx(0.1, abs=0.15)


def test_a_state_lasts_while_reasons_of_both_kinds_take_turns(learnt: Learnt) -> None:
    house = House(learnt=learnt)
    house.run(5)
    house.slow = in_scope(FLEET, {"lot": "L02"})
    house.run(15)
    row = np.flatnonzero(house.slow & house.judged.has(Reason.TX_SLOW))[0]
    since: Judgement = house.judged
    house.run(5)
    assert house.judged.state_since_ms[row] == since.state_since_ms[row]


@pytest.mark.parametrize(
    ("state", "layout"),
    [(b"", Learnt.LAYOUT), (b"\xff\xff\x00\x00{}", Learnt.LAYOUT), (b"\x00\x00\x00\x00", "vigie-learnt-0")],
    ids=["nothing", "cut short", "another form"],
)
def test_what_cannot_be_read_is_refused(state: bytes, layout: str) -> None:
    with pytest.raises(LearntError, match="learn"):
        Learnt.from_bytes(state, layout=layout)


@pytest.mark.parametrize(
    ("at_ms", "muted"),
    [(99, False), (100, True), (199, True), (200, True), (209, True), (210, False)],
)
def test_a_window_mutes_its_scope_while_it_lasts_and_a_little_longer(at_ms: int, muted: bool) -> None:
    window = Window({"model": "A"}, 100, 200)
    found = muted_terminals(FLEET, [window], now_ms=at_ms, grace_ms=10)
    assert found.tolist() == (in_scope(FLEET, {"model": "A"}) & muted).tolist()


def test_a_scope_of_a_value_that_nobody_has_is_met_by_nobody() -> None:
    assert not in_scope(FLEET, {"model": "Z"}).any()
    assert in_scope(FLEET, {}).all()
