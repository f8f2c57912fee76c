import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnostics.troubles import Trouble
from diagnostics.typologies.catalogue import delivered, variants
from diagnostics.typologies.matching import MATCHED_BELOW, Known, Matcher, best_elsewhere, p_values
from diagnostics.typologies.signature import CODES, METRICS, Signature, likeness, mean_of, table
from fleet.registry import DIMENSIONS

KNOWN = [Known(number, one.signature) for number, one in enumerate(delivered())]
CODE = [one.code for one in delivered()]
SIGNATURES = st.builds(
    Signature,
    troubles=st.dictionaries(st.sampled_from(list(Trouble)), st.floats(0.1, 1.0), max_size=3),
    scope=st.none() | st.frozensets(st.sampled_from(DIMENSIONS), max_size=3),
    z=st.none() | st.dictionaries(st.sampled_from(METRICS), st.floats(-8, 8), max_size=5),
    events=st.none() | st.dictionaries(st.sampled_from(CODES), st.floats(0.02, 3), max_size=3),
    words=st.none() | st.dictionaries(st.integers(0, 5), st.floats(0, 1), max_size=3),
)


def test_p_values_are_uniform_under_the_null() -> None:
    rng = np.random.default_rng(3)
    p = np.concatenate(
        [p_values(rng.normal(size=40).astype(np.float32), rng.normal(size=199).astype(np.float32)) for _ in range(100)]
    )
    # Kolmogorov's distance from the uniform, at the 1 % level for this many independent nulls.
    grid = np.sort(p)
    distance = np.abs(grid - np.arange(1, len(grid) + 1) / len(grid)).max()
    assert distance < 1.63 / np.sqrt(len(grid)) + 1 / 200 + 0.02
    assert p.min() >= 1 / 200


def test_things_of_an_unknown_kind_are_matched_as_seldom_as_p_says() -> None:
    # Kinds that have kin left in the catalogue are nearer than the experiment's: they are left out, as it leaves them out.
    alone = [
        place for place, code in enumerate(CODE) if code not in {"network_outage", "network_degraded", "power_cut", "shop_line"}
    ]
    matched = []
    for place in alone:
        matcher = Matcher([*KNOWN[:place], *KNOWN[place + 1 :]])
        found = matcher.match(variants(KNOWN[place].signature, 99, count=30, seed=700 + place))
        matched += [match.matched for match in found]
    assert np.mean(matched) <= MATCHED_BELOW


def test_what_is_like_a_delivered_typology_is_recognised() -> None:
    matcher = Matcher(KNOWN)
    right = []
    for place, known in enumerate(KNOWN):
        found = matcher.match(variants(known.signature, known.id, count=30, seed=900 + place))
        right += [match.matched and match.typology == known.id for match in found]
    assert np.mean(right) >= 0.9


def test_members_move_a_typology_and_a_stranger_like_it_makes_the_next_less_sure() -> None:
    odd = Signature({"heat": 1.0}, frozenset({"agency"}), {"signal_dbm": 6.0, "disk_mb": 5.0}, {})
    before = Matcher(KNOWN).match([odd])[0]
    heat = CODE.index("overheating")
    learnt = Matcher([*KNOWN[:heat], Known(heat, KNOWN[heat].signature, [odd] * 20), *KNOWN[heat + 1 :]]).match([odd])[0]
    assert (before.matched, learnt.matched, learnt.typology) == (False, True, heat)
    wary = Matcher(KNOWN, strangers=[odd] * 60).match([odd])[0]
    assert wary.p > before.p


def test_nothing_known_matches_nothing() -> None:
    [match] = Matcher([]).match([KNOWN[0].signature])
    assert (match.typology, match.matched, match.p) == (None, False, 1.0)


def test_own_typology_and_its_kin_are_left_out_of_the_null() -> None:
    near = np.array([[0.9, 0.8, 0.1], [0.2, 0.3, 0.7], [0.4, 0.5, 0.6]], np.float32)
    kin = np.array([[True, True, False], [True, True, False], [False, False, True]])
    assert best_elsewhere(near, np.array([0, 2, -1])).tolist() == pytest.approx([0.8, 0.3, 0.6])
    assert best_elsewhere(near, np.array([0, 2, -1]), kin).tolist() == pytest.approx([0.1, 0.3, 0.6])


@given(SIGNATURES)
def test_a_signature_survives_the_database(signature: Signature) -> None:
    again = Signature.from_json(signature.to_json())
    assert again.scope == signature.scope
    assert set(again.troubles) == set(signature.troubles)
    assert (again.z is None, again.events is None, again.words is None) == (
        signature.z is None,
        signature.events is None,
        signature.words is None,
    )


@given(st.lists(SIGNATURES, min_size=1, max_size=4), st.lists(SIGNATURES, min_size=1, max_size=4))
def test_likeness_lies_between_nothing_and_one(things: list[Signature], others: list[Signature]) -> None:
    found = likeness(table(things, range(len(others))), table(others, range(len(others))))
    assert found.shape == (len(things), len(others))
    assert (found >= 0).all()
    assert (found <= 1 + 1e-5).all()


def test_a_block_that_is_not_known_does_not_count_against_a_likeness() -> None:
    printer = next(one.signature for one in delivered() if one.code == "printer_degraded")
    bare = Signature({"printer": 1.0})
    [[alike]] = likeness(table([bare], []), table([printer], []))
    assert alike == pytest.approx(1.0)


def test_the_mean_of_members_keeps_what_they_share() -> None:
    one = Signature({"heat": 1.0}, frozenset({"model"}), {"board_c": 6.0}, {})
    other = Signature({"heat": 1.0}, frozenset({"model", "lot"}), {"board_c": 4.0, "cpu_pct": 2.0}, {})
    mean = mean_of([one, other])
    assert mean.troubles == {"heat": 1.0}
    assert mean.z == {"board_c": 5.0, "cpu_pct": 1.0}
    assert mean.scope == {"lot": 0.5, "model": 1.0}
