"""What is told of an incident and why, and when a failed notice is tried again: tables, one sentence a row."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from diagnostics.notices.policy import (
    Channel,
    Event,
    GiveUp,
    RetryPolicy,
    Subject,
    TellingPolicy,
    Told,
    Verdict,
    decide,
    hold,
    next_attempt,
)

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
BETA = {"carrier": "beta"}
OPEN = Subject(state="open", trouble="offline", scope=BETA, hits=40, worst_hits=40, muted=False, latched=False, parent=False)
TOLD = Told(event=Event.OPENED, event_id=5, trouble="offline", scope=BETA, hits=40, latched=False)
HOOK, TOPIC = Channel("hook", "webhook"), Channel("mqtt", "mqtt")


def verdict(
    event: Event,
    incident: Subject = OPEN,
    told: Told | None = None,
    channel: Channel = HOOK,
    *,
    event_id: int = 9,
    replayed: bool = False,
) -> Verdict:
    return decide(event, event_id, incident, channel, told, replayed=replayed, policy=TellingPolicy())


@pytest.mark.parametrize(
    ("event", "incident", "told", "expected"),
    [
        pytest.param(Event.OPENED, OPEN, None, Verdict.FIRST, id="an incident opens"),
        pytest.param(Event.DECLARED, OPEN, None, Verdict.FIRST, id="a person declares one"),
        pytest.param(
            Event.OPENED, replace(OPEN, state="candidate"), None, Verdict.CANDIDATE, id="a candidate is nobody's business"
        ),
        pytest.param(Event.OPENED, replace(OPEN, muted=True), None, Verdict.MUTED, id="under maintenance"),
        pytest.param(Event.UNMUTED, OPEN, None, Verdict.FIRST, id="maintenance is over and it is still wrong"),
        pytest.param(Event.UNMUTED, OPEN, TOLD, Verdict.CHANGED, id="told before maintenance, still there after it"),
        pytest.param(Event.OPENED, replace(OPEN, parent=True), None, Verdict.CHILD, id="part of a wider one"),
        pytest.param(Event.GREW, replace(OPEN, hits=60), TOLD, Verdict.CHANGED, id="half as many again"),
        pytest.param(Event.GREW, replace(OPEN, hits=44), TOLD, Verdict.SAME, id="a tenth more than was told"),
        pytest.param(Event.GREW, replace(OPEN, hits=44), None, Verdict.FIRST, id="grown, and never told"),
        pytest.param(
            Event.SCOPE, replace(OPEN, scope={"carrier": "beta", "region": "84"}), TOLD, Verdict.CHANGED, id="scope known better"
        ),
        pytest.param(Event.SCOPE, replace(OPEN, trouble="network"), TOLD, Verdict.CHANGED, id="trouble known better"),
        pytest.param(Event.SCOPE, OPEN, TOLD, Verdict.SAME, id="a scope that was told already"),
        pytest.param(Event.ACKNOWLEDGED, replace(OPEN, state="acknowledged"), TOLD, Verdict.CHANGED, id="somebody takes it on"),
        pytest.param(Event.CLEARING, replace(OPEN, state="clearing"), TOLD, Verdict.UNWANTED, id="clearing is not over"),
        pytest.param(Event.REOPENED, OPEN, TOLD, Verdict.SAME, id="back from clearing, which was not told"),
        pytest.param(Event.REOPENED, OPEN, replace(TOLD, event=Event.CLOSED), Verdict.FIRST, id="back after its end was told"),
        pytest.param(Event.COMMENTED, OPEN, TOLD, Verdict.UNWANTED, id="a comment"),
        pytest.param(Event.JOINED, OPEN, TOLD, Verdict.UNWANTED, id="a terminal joins"),
        pytest.param(Event.CLOSED, replace(OPEN, state="closed"), TOLD, Verdict.OVER, id="over"),
        pytest.param(Event.RESOLVED, replace(OPEN, state="closed"), TOLD, Verdict.OVER, id="closed by a person"),
        pytest.param(Event.MERGED, replace(OPEN, state="closed"), TOLD, Verdict.OVER, id="merged into another"),
        pytest.param(Event.CLOSED, replace(OPEN, state="closed"), None, Verdict.UNTOLD, id="over, and never told"),
        pytest.param(
            Event.CLOSED,
            replace(OPEN, state="closed", muted=True),
            TOLD,
            Verdict.OVER,
            id="over under maintenance, but told before",
        ),
        pytest.param(
            Event.CLOSED,
            replace(OPEN, state="closed"),
            replace(TOLD, event=Event.RESOLVED),
            Verdict.UNTOLD,
            id="its end was told already",
        ),
        pytest.param(
            Event.PARENT, replace(OPEN, parent=True), TOLD, Verdict.OVER, id="told, and now part of a wider one: told once"
        ),
        pytest.param(
            Event.PARENT, replace(OPEN, parent=True), None, Verdict.CHILD, id="found to be part of a wider one before it was told"
        ),
        pytest.param(
            Event.CLOSED,
            replace(OPEN, state="closed", parent=True),
            replace(TOLD, event=Event.PARENT),
            Verdict.UNTOLD,
            id="a child ends: its parent is told",
        ),
        pytest.param(
            Event.GREW,
            replace(OPEN, hits=90),
            replace(TOLD, event=Event.PARENT),
            Verdict.FIRST,
            id="its parent is gone and it lives on",
        ),
        pytest.param(Event.APART, OPEN, replace(TOLD, event=Event.PARENT), Verdict.FIRST, id="its parent is over and it is not"),
        pytest.param(Event.APART, OPEN, None, Verdict.FIRST, id="it was a part from its beginning, and outlives its parent"),
        pytest.param(Event.APART, OPEN, TOLD, Verdict.SAME, id="back without its parent: told as back"),
        pytest.param(Event.FLAPPING, replace(OPEN, latched=True), TOLD, Verdict.CHANGED, id="it begins to flap: told once"),
        pytest.param(
            Event.GREW, replace(OPEN, latched=True, hits=99), replace(TOLD, latched=True), Verdict.FLAPPING, id="it flaps on"
        ),
        pytest.param(
            Event.SCOPE, replace(OPEN, latched=True, scope={}), replace(TOLD, latched=True), Verdict.CHANGED, id="it flaps wider"
        ),
        pytest.param(Event.OPENED, OPEN, replace(TOLD, event_id=9), Verdict.DUPLICATE, id="the same event again"),
        pytest.param(Event.OPENED, OPEN, replace(TOLD, event_id=12), Verdict.DUPLICATE, id="an event older than what was told"),
    ],
)
def test_a_message_is_told_with_a_reason(event: Event, incident: Subject, told: Told | None, expected: Verdict) -> None:
    assert verdict(event, incident, told) is expected


@pytest.mark.parametrize(
    ("event", "incident", "told", "expected"),
    [
        pytest.param(Event.CLEARING, replace(OPEN, state="clearing"), TOLD, Verdict.CHANGED, id="clearing is a state"),
        pytest.param(Event.CLEARING, replace(OPEN, state="clearing"), None, Verdict.UNTOLD, id="clearing is no beginning"),
        pytest.param(Event.REOPENED, OPEN, replace(TOLD, event=Event.CLEARING), Verdict.CHANGED, id="back from clearing"),
        pytest.param(Event.MUTED, replace(OPEN, muted=True), TOLD, Verdict.OVER, id="maintenance takes the topic away"),
        pytest.param(Event.UNMUTED, OPEN, replace(TOLD, event=Event.MUTED), Verdict.FIRST, id="and its end brings it back"),
        pytest.param(
            Event.CLEARING, replace(OPEN, latched=True), replace(TOLD, latched=True), Verdict.CHANGED, id="flapping is followed"
        ),
        pytest.param(Event.JOINED, OPEN, TOLD, Verdict.UNWANTED, id="a terminal joins"),
    ],
)
def test_a_topic_follows_the_state(event: Event, incident: Subject, told: Told | None, expected: Verdict) -> None:
    assert verdict(event, incident, told, TOPIC) is expected


@pytest.mark.parametrize(
    ("worst_hits", "expected"),
    [pytest.param(49, Verdict.SMALL, id="one too few"), pytest.param(50, Verdict.FIRST, id="just enough")],
)
def test_a_channel_may_want_to_hear_of_large_incidents_only(worst_hits: int, expected: Verdict) -> None:
    assert verdict(Event.GREW, replace(OPEN, worst_hits=worst_hits), None, Channel("mail", "mail", minimum=50)) is expected


def test_what_was_caught_up_and_is_over_is_told_to_nobody() -> None:
    assert verdict(Event.GREW, replace(OPEN, state="closed"), replayed=True) is Verdict.REPLAYED_OVER
    assert verdict(Event.GREW, OPEN, replayed=True) is Verdict.FIRST


def test_every_event_has_a_verdict_for_every_state() -> None:
    for event in Event:
        for told in (None, TOLD):
            for channel in (HOOK, TOPIC):
                for state in ("open", "acknowledged", "clearing", "closed"):
                    assert isinstance(verdict(event, replace(OPEN, state=state), told, channel), Verdict)


POLICY = RetryPolicy(most_attempts=30, give_up_after=timedelta(hours=24))


def pause_s(attempts: int, jitter: float = 0.5, wait_s: float | None = None) -> float:
    at = next_attempt(attempts, tried_since=NOW, now=NOW, jitter=jitter, wait_s=wait_s, policy=POLICY)
    assert isinstance(at, datetime)
    return (at - NOW).total_seconds()


@pytest.mark.parametrize(
    ("attempts", "jitter", "wait_s", "expected"),
    [
        pytest.param(1, 0.5, None, 10.0, id="ten seconds after the first"),
        pytest.param(2, 0.5, None, 20.0, id="doubling"),
        pytest.param(4, 0.5, None, 80.0, id="and doubling"),
        pytest.param(9, 0.5, None, 2560.0, id="up to"),
        pytest.param(10, 0.5, None, 3600.0, id="an hour"),
        pytest.param(29, 0.99, None, 3600.0, id="never more than an hour"),
        pytest.param(1, 0.0, None, 7.5, id="a quarter sooner"),
        pytest.param(1, 1.0, None, 12.5, id="a quarter later"),
        pytest.param(1, 0.5, 300.0, 300.0, id="as long as the receiver asks"),
        pytest.param(5, 0.5, 1.0, 160.0, id="not sooner than we would"),
        pytest.param(1, 0.5, 1e9, 3600.0, id="a receiver cannot stop us for ever"),
    ],
)
def test_pauses_between_attempts(attempts: int, jitter: float, wait_s: float | None, expected: float) -> None:
    assert pause_s(attempts, jitter, wait_s) == pytest.approx(expected)


def test_a_notice_is_given_up_after_so_many_attempts_or_hours() -> None:
    now = NOW + timedelta(hours=23, minutes=30)
    assert next_attempt(30, tried_since=NOW, now=NOW, jitter=0.5, wait_s=None, policy=POLICY) == GiveUp(
        "given up after 30 attempts"
    )
    assert next_attempt(12, tried_since=NOW, now=now, jitter=0.5, wait_s=None, policy=POLICY) == GiveUp("given up after 24 h")


def test_a_day_of_attempts_is_within_the_default_number() -> None:
    at: datetime | GiveUp = NOW
    attempts = 0
    while isinstance(at, datetime):
        attempts += 1
        at = next_attempt(attempts, tried_since=NOW, now=at, jitter=0.0, wait_s=None, policy=RetryPolicy())
    assert at.why == "given up after 24 h"
    assert 20 < attempts < RetryPolicy().most_attempts


def test_what_is_caught_up_waits_until_its_end_would_be_known() -> None:
    assert hold(NOW - timedelta(hours=1), NOW) == timedelta(seconds=130)
    assert hold(NOW, NOW) == hold(NOW + timedelta(hours=1), NOW) == timedelta(seconds=10)
    assert hold(NOW - timedelta(days=30), NOW) == timedelta(hours=1)
