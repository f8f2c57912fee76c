"""Calls as a signal: what is due, what surges, and what is learnt of it."""

from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnostics.detector.calibration import Calibration
from diagnostics.detector.observed import Calls, Layer
from diagnostics.scan.search import Finding
from diagnostics.tracking.calls import SAME_MATTER_MS, WINDOWS_S, CallDesk
from diagnostics.tracking.looks import Looks
from diagnostics.tracking.maintenance import in_scope
from tests.unit.diagnostics.tracked_fleet import FLEET, SIZE

# A Tuesday, 09:00 in Paris.
NINE_S = int(datetime(2026, 11, 24, 8, tzinfo=UTC).timestamp())
OPEN = np.ones(SIZE, bool)
SHOPS = int(FLEET.shop.max()) + 1
NONE = Calls(np.zeros(0, np.int32), np.zeros(0, np.int64))


def calls(shops: list[int], at_s: list[int]) -> Calls:
    return Calls(np.array(shops, np.int32), np.array(at_s, np.int64) * 1000)


def run(desk: CallDesk, *, from_s: int, minutes: int, ring: Calls = NONE) -> list[Layer]:
    """Let minutes pass, with the calls of `ring` when their time comes; the layers at the end."""
    end_s = from_s
    for end_s in range(from_s + 60, from_s + 60 * minutes + 60, 60):
        now = (ring.at_ms >= (end_s - 60) * 1000) & (ring.at_ms < end_s * 1000)
        desk.observe(Calls(ring.shop[now], ring.at_ms[now]), at_s=end_s, is_open=OPEN)
    return desk.layers(now_ms=end_s * 1000)


def found(layers: list[Layer]) -> list[Finding]:
    looks = Looks(FLEET, Calibration(), [])
    return [finding for layer in layers for finding in looks.scan(layer, None)]


def test_a_call_is_shared_among_the_terminals_of_its_shop() -> None:
    desk = CallDesk(FLEET.shop)
    layers = run(desk, from_s=NINE_S, minutes=3, ring=calls([7], [NINE_S + 70]))
    assert [layer.window_s for layer in layers] == list(WINDOWS_S)
    rows = np.flatnonzero(FLEET.shop == 7)
    assert layers[0].hit[rows].tolist() == [0.5, 0.5]
    assert layers[0].hit.sum() == 1.0


def test_what_is_due_in_an_hour_is_what_such_an_hour_brings() -> None:
    desk = CallDesk(FLEET.shop)
    rng = np.random.default_rng(2)
    for day in range(7):
        for step in range(144):
            at_s = NINE_S + day * 86_400 + step * 300
            ring = calls(rng.integers(0, SHOPS, rng.poisson(3)).tolist(), [])
            desk.observe(Calls(ring.shop, np.full(len(ring.shop), at_s * 1000)), at_s=at_s + 300, is_open=OPEN, lasting_s=300)
    layers = run(desk, from_s=NINE_S + 7 * 86_400, minutes=125)
    # Of 36 calls an hour, those of shops that rang within two hours count once.
    assert layers[2].expected.sum() == pytest.approx(33, rel=0.2)
    assert layers[3].expected.sum() == pytest.approx(2 * layers[2].expected.sum(), rel=0.15)


def test_a_shop_that_rings_again_has_the_same_matter_for_two_hours() -> None:
    desk = CallDesk(FLEET.shop)
    again_s = SAME_MATTER_MS // 1000
    ring = calls([7, 7, 7], [NINE_S + 10, NINE_S + 600, NINE_S + again_s - 10])
    layers = run(desk, from_s=NINE_S, minutes=again_s // 60 - 1, ring=ring)
    assert [float(layer.hit.sum()) for layer in layers] == [0, 0, 0, 1]
    late = run(desk, from_s=NINE_S + again_s - 60, minutes=4, ring=calls([7], [NINE_S + again_s + 30]))
    assert late[0].hit.sum() == 1


def test_a_surge_in_one_agency_is_found_with_its_scope() -> None:
    desk = CallDesk(FLEET.shop)
    run(desk, from_s=NINE_S - 3600, minutes=60)
    rng = np.random.default_rng(4)
    agency = np.unique(FLEET.shop[in_scope(FLEET, {"agency": "AG03"})])
    ringing = rng.choice(agency, 30, replace=False).tolist()
    everyday = rng.choice(SHOPS, 25, replace=False).tolist()
    at_s = sorted(rng.integers(NINE_S, NINE_S + 1500, 55).tolist())
    order = rng.permutation(55)
    shops = np.array(ringing + everyday)[order].tolist()
    findings = found(run(desk, from_s=NINE_S, minutes=26, ring=calls(shops, at_s)))
    assert findings
    best = max(findings, key=lambda one: one.score)
    assert [(dim, FLEET.levels[dim][code]) for dim, code in best.scope] == [(8, "AG03")]


def test_a_restart_makes_no_surge_of_the_calls_before_it() -> None:
    desk = CallDesk(FLEET.shop)
    rng = np.random.default_rng(4)
    ring = calls(rng.choice(SHOPS, 200, replace=False).tolist(), np.linspace(NINE_S, NINE_S + 7000, 200).astype(int).tolist())
    run(desk, from_s=NINE_S, minutes=118, ring=ring)
    fresh = CallDesk(FLEET.shop, desk.habits())
    assert all(layer.hit.sum() == 0 for layer in run(fresh, from_s=NINE_S + 7200, minutes=1))
    assert found(run(fresh, from_s=NINE_S + 7260, minutes=30)) == []


def test_unknown_callers_give_no_signal() -> None:
    desk = CallDesk(FLEET.shop)
    layers = run(desk, from_s=NINE_S, minutes=3, ring=calls([-1, SHOPS + 5], [NINE_S + 5, NINE_S + 6]))
    assert all(layer.hit.sum() == 0 for layer in layers)


def test_calls_with_a_known_cause_teach_nothing() -> None:
    taught, spared = CallDesk(FLEET.shop), CallDesk(FLEET.shop)
    for desk, explained in ((taught, np.zeros(SIZE, bool)), (spared, OPEN)):
        ring = calls(list(range(300)), [NINE_S + 30] * 300)
        desk.observe(ring, at_s=NINE_S + 60, is_open=OPEN, explained=explained, lasting_s=60)
    assert taught.habits().calls.sum() == 300
    assert spared.habits().calls.sum() == 0


def test_a_changed_registry_keeps_who_rang_and_what_is_learnt() -> None:
    desk = CallDesk(FLEET.shop)
    run(desk, from_s=NINE_S, minutes=5, ring=calls([7], [NINE_S + 70]))
    # The first shop closed for good, a new one came at the end.
    old_rows = np.concatenate([np.arange(2, SIZE), [-1]]).astype(np.intp)
    shop = np.concatenate([FLEET.shop[2:] - 1, [SHOPS - 1]]).astype(np.int32)
    moved = desk.carried_to(shop, old_rows)
    layers = moved.layers(now_ms=(NINE_S + 300) * 1000)
    assert np.flatnonzero(layers[0].hit).tolist() == np.flatnonzero(shop == 6).tolist()
    assert moved.habits().calls.sum() == desk.habits().calls.sum()


@settings(max_examples=25, deadline=None)
@given(
    shops=st.lists(st.integers(-1, SHOPS - 1), max_size=40),
    gaps=st.lists(st.integers(10, 900), min_size=1, max_size=30),
)
def test_what_is_due_is_never_negative_and_a_longer_window_is_due_no_less(shops: list[int], gaps: list[int]) -> None:
    desk = CallDesk(FLEET.shop)
    at_s = NINE_S
    for number, gap in enumerate(gaps):
        at_s += gap
        desk.observe(calls(shops[number : number + 1], [at_s - 1][: len(shops[number : number + 1])]), at_s=at_s, is_open=OPEN)
    due = [layer.expected for layer in desk.layers(now_ms=at_s * 1000)]
    assert all((expected >= 0).all() for expected in due)
    assert all((longer >= shorter - 1e-5).all() for shorter, longer in pairwise(due))
