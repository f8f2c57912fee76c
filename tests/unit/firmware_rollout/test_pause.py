"""How long `vigie rollout` waits between two steps."""

from firmware_rollout.planning import MOST_STEPS
from firmware_rollout.reconcile import pause_s


def test_a_step_that_left_some_for_the_next_one_is_followed_at_once() -> None:
    assert pause_s(MOST_STEPS, 10.0) == 0.0
    assert pause_s(MOST_STEPS - 1, 10.0) == 10.0
