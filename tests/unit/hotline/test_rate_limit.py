from hypothesis import given
from hypothesis import strategies as st

from hotline.rate_limit import MOST_SOURCES, RateLimit


def test_a_burst_passes_and_then_only_the_steady_rate() -> None:
    limit = RateLimit(per_s=2, burst=3)
    assert [limit.wait_s("pbx", now_s=0) for _ in range(4)] == [0, 0, 0, 0.5]
    assert limit.wait_s("pbx", now_s=0.4) > 0
    assert limit.wait_s("pbx", now_s=0.5) == 0
    assert limit.wait_s("pbx", now_s=0.5) > 0


def test_one_source_takes_nothing_from_another() -> None:
    limit = RateLimit(per_s=1, burst=1)
    assert limit.wait_s("a", now_s=0) == 0
    assert limit.wait_s("a", now_s=0) > 0
    assert limit.wait_s("b", now_s=0) == 0


def test_what_is_remembered_is_bounded() -> None:
    limit = RateLimit(per_s=1, burst=1)
    for number in range(MOST_SOURCES + 1):
        limit.wait_s(str(number), now_s=0)
    assert limit.wait_s("0", now_s=0) == 0
    assert limit.wait_s(str(MOST_SOURCES), now_s=0) > 0


@given(st.lists(st.floats(0, 10), max_size=60).map(sorted))
def test_never_more_than_the_burst_and_what_the_time_brought(moments: list[float]) -> None:
    limit = RateLimit(per_s=2, burst=5)
    passed = sum(limit.wait_s("pbx", now_s=moment) == 0 for moment in moments)
    assert passed <= 5 + 2 * (moments[-1] - moments[0] if moments else 0) + 1e-6
