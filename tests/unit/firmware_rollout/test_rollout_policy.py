"""The policy of a campaign: what cannot be followed is refused by its field, what is written is read again."""

from datetime import UTC, datetime, timedelta

import pytest

from firmware_rollout.gate.policy import PolicyError
from firmware_rollout.policy import Policy, changed, check, indented, read_policy, written


def test_a_policy_is_read_as_it_was_written() -> None:
    policy = Policy(window=None, pace=60.0, shares_pct=(1.0, 100.0))
    assert read_policy(written(policy)) == policy
    assert read_policy("{}") == Policy()
    assert read_policy(indented(policy)) == policy
    assert max(map(len, indented(Policy()).splitlines())) < 80, "for people to read"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"soak_minuts": 30}', r"policy: has no field soak_minuts; known: shares_pct, window, .*soak_minutes, .*pace"),
        ('{"gate": {"alfa": 0.1}}', r"gate: has no field alfa; known: alpha, metrics, .*longest_days"),
        ('{"window": {"locl": []}}', r"window: has no field locl; known: local, "),
        (
            '{"gate": {"metrics": [{"metric": "calls", "needs": []}]}}',
            r"gate.metrics\[0\]: has no field needs; known: metric, .*needed",
        ),
    ],
)
def test_a_mistyped_field_is_refused_with_those_there_are(text: str, words: str) -> None:
    with pytest.raises(PolicyError, match=words):
        read_policy(text)


def test_the_furthest_a_policy_may_reach_is_a_time_that_can_be_reckoned_with() -> None:
    far = Policy(
        pace=0.1, deadline_hours=8_760, give_up_days=3_650, max_attempts=10, backoff_minutes=10_080, cap_in_flight=1_000_000
    )
    check(far)
    now = datetime(2026, 11, 23, tzinfo=UTC)
    reached = [now + span for span in (far.give_up, far.deadline, far.backoff(far.max_attempts), far.period, far.settle)]
    assert max(reached).year < 2200


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('{"soak_minutes": "long"}', "soak_minutes"),
        ('{"colour": 1}', "policy"),
        ("[", "policy"),
        ('{"shares_pct": [5, 50]}', "shares_pct"),
        ('{"shares_pct": [50, 5, 100]}', "shares_pct"),
        ('{"shares_pct": []}', "shares_pct"),
        ('{"cap_in_flight": 0}', "cap_in_flight"),
        ('{"pace": 0}', "pace"),
        ('{"pace": 1e-12}', "pace"),
        ('{"pace": 86400}', "pace"),
        ('{"give_up_days": 1e7}', "give_up_days"),
        ('{"deadline_hours": 700000}', "deadline_hours"),
        ('{"deadline_hours": 1e12}', "deadline_hours"),
        ('{"max_attempts": 1000}', "max_attempts"),
        ('{"backoff_minutes": 1e9}', "backoff_minutes"),
        ('{"backoff_minutes": -1}', "backoff_minutes"),
        ('{"soak_minutes": 1440}', "soak_minutes"),
        ('{"halt_failed_pct": 101}', "halt_failed_pct"),
        ('{"window": {"local": ["02:00", "2:30"]}}', "window.local"),
        ('{"window": {"needed_minutes": 300}}', "window.needed_minutes"),
        ('{"gate": {"alpha": 2, "metrics": []}}', "alpha"),
        ('{"gate": {"alpha": 0.01, "metrics": [], "least_day": 9}}', "gate"),
        ('{"gate": {"alpha": 0.01, "metrics": [{"metric": "calls", "needs": []}]}}', "gate.metrics[0]"),
    ],
)
def test_what_cannot_be_followed_is_refused_by_field(text: str, field: str) -> None:
    with pytest.raises(PolicyError) as refused:
        read_policy(text)
    assert refused.value.field == field


def test_pace_compresses_every_duration() -> None:
    slow, quick = Policy(), changed(Policy(), pace=60.0)
    assert quick.soak == slow.soak / 60 == timedelta(minutes=2)
    assert quick.deadline == slow.deadline / 60
    assert quick.period == timedelta(minutes=24)
    assert quick.backoff(3) == slow.backoff(3) / 60 == timedelta(minutes=4)
    assert quick.give_up == slow.give_up / 60
