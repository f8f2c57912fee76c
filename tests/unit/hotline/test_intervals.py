import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.intervals import Mean, Share, Verdict, mean_of


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        pytest.param(81, 263, 0.2553, 0.3662, id="81 of 263"),
        pytest.param(15, 148, 0.0624, 0.1605, id="15 of 148"),
        pytest.param(0, 20, 0.0, 0.1611, id="none of 20"),
        pytest.param(1, 29, 0.0061, 0.1718, id="1 of 29"),
    ],
)
def test_shares_have_wilsons_interval(hits: int, of: int, low: float, high: float) -> None:
    assert Share(hits, of).interval == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 5000).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_a_share_lies_within_its_interval_and_that_within_the_possible(pair: tuple[int, int]) -> None:
    share = Share(*pair)
    assert share.interval is not None
    assert share.value is not None
    low, high = share.interval
    assert 0.0 <= low <= share.value <= high <= 1.0
    assert low < high


def test_more_calls_make_an_interval_narrower() -> None:
    widths = [high - low for low, high in (Share(9 * n, 10 * n).interval or (0, 0) for n in (1, 10, 100))]
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize(
    ("share", "verdict"),
    [
        pytest.param(Share(950, 1000), Verdict.MET, id="well above"),
        pytest.param(Share(880, 1000), Verdict.MISSED, id="well below"),
        pytest.param(Share(19, 20), Verdict.CLOSE, id="above, of too few"),
        pytest.param(Share(915, 1000), Verdict.CLOSE, id="below by what chance does"),
        pytest.param(Share(0, 0), Verdict.UNKNOWN, id="of none"),
    ],
)
def test_a_share_is_held_against_its_target(share: Share, verdict: Verdict) -> None:
    assert share.against(0.92) is verdict


def test_means_have_students_interval() -> None:
    # t with 4 degrees of freedom: 2.7764; the standard deviation of 1 to 5 is 1.5811.
    mean = mean_of([1.0, 2.0, 3.0, 4.0, 5.0])
    assert (mean.n, mean.value) == (5, 3.0)
    assert mean.interval == pytest.approx((3 - 1.9632, 3 + 1.9632), abs=1e-4)


def test_a_duration_is_never_less_than_nothing() -> None:
    mean = mean_of([0.0, 0.0, 300.0])
    assert mean.interval is not None
    assert mean.interval[0] == 0.0


def test_few_values_claim_no_interval() -> None:
    assert mean_of([]) == Mean(0, None, None)
    assert mean_of([7.0]) == Mean(1, 7.0, None)
