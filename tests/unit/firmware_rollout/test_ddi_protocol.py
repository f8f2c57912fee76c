"""What devices say and are told, as hawkBit's real clients write and read it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_rollout.ddi.offering import Offer, asked_of
from firmware_rollout.ddi.protocol import (
    SKIPPED,
    Addresses,
    Asked,
    Effect,
    Execution,
    Feedback,
    Finished,
    Mode,
    ProtocolError,
    base_document,
    cancel_document,
    deployment_document,
    detail_of,
    effect_of,
    effect_on_cancel,
    merged,
    read_attributes,
    read_feedback,
    sleep_of,
)
from firmware_rollout.ddi.tokens import device_token, is_from
from firmware_rollout.policy import Policy, changed, written
from firmware_rollout.releases import Release, ReleaseFile
from firmware_rollout.states import ActionState, Outcome
from firmware_rollout.windows import Window

KEY = "k" * 32
AT = Addresses("http://vigie.example", "vigie", "T00012")
# Three in the morning in Paris, a Monday; and three in the afternoon.
NIGHT = datetime(2026, 11, 23, 2, tzinfo=UTC)
NOON = datetime(2026, 11, 23, 14, tzinfo=UTC)
RELEASE = Release("4.3.0", ["B"], "", NIGHT, ["1"], ReleaseFile("fw-4.3.0.swu", 1234, "a" * 64, "b" * 40))


def feedback(execution: str, finished: str = "none", **status: Any) -> bytes:
    result = {"finished": finished, **({"progress": status.pop("progress")} if "progress" in status else {})}
    return json.dumps({"id": 7, "time": "20261123T020000", "status": {"execution": execution, "result": result, **status}}).encode()


def test_feedback_of_swupdate_and_rauc_is_read_with_its_extra_fields() -> None:
    read = read_feedback(feedback("proceeding", progress={"cnt": 2, "of": 5}, details=["Installing"], code=3, new=[1]))
    assert read == Feedback(Execution.PROCEEDING, Finished.NONE, 40, 3, ("Installing",))
    assert read_feedback(feedback("proceeding", progress={"percentage": 70})).progress == 70
    assert read_feedback(feedback("proceeding", progress={"cnt": 0, "of": 0})).progress is None
    assert read_feedback(b'{"status": {"execution": "downloaded"}}') == Feedback(Execution.DOWNLOADED, Finished.NONE)


def test_a_failure_whose_words_break_the_json_is_heard() -> None:
    body = feedback("closed", "failure", details=["ERROR: file QxQ not found"]).replace(b"QxQ", b'"x"')
    with pytest.raises(ValueError, match="delimiter"):
        json.loads(body)
    read = read_feedback(body)
    assert (read.execution, read.finished, read.details) == (Execution.CLOSED, Finished.FAILURE, ('ERROR: file "x" not found',))
    tabbed = feedback("closed", "failure", details=["a-b"]).replace(b"a-b", b"a\tb")
    assert read_feedback(tabbed).details == ("a\tb",)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "no JSON"),
        (b"[1]", "no JSON object"),
        (b'{"status": 3}', "status: is missing"),
        (feedback("finished"), "status.execution: 'finished' is none of closed"),
        (feedback("closed", "yes"), "status.result.finished: 'yes'"),
        (b"[" * 100_000, "no JSON"),
    ],
)
def test_what_nobody_can_read_is_refused_by_its_field(body: bytes, words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        read_feedback(body)


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["status", "result", "details", "progress", "cnt", "of"]), inner)
        ),
    ).map(lambda value: json.dumps({"status": {"execution": "closed", "result": value, "details": value}}).encode())
)
def test_no_body_brings_the_server_down_and_all_that_is_read_can_be_stored(body: bytes) -> None:
    try:
        read = read_feedback(body)
    except ProtocolError:
        return
    assert "\0" not in "".join(read.details)
    "".join(read.details).encode()
    assert read.progress is None or 0 <= read.progress <= 100
    assert len(detail_of(read)) <= 512


CLOSED_SUCCESS = Feedback(Execution.CLOSED, Finished.SUCCESS)
CLOSED_FAILURE = Feedback(Execution.CLOSED, Finished.FAILURE)
REJECTED = Feedback(Execution.REJECTED, Finished.SUCCESS)
SKIP = Feedback(Execution.CLOSED, Finished.SUCCESS, details=(SKIPPED,))


@pytest.mark.parametrize(
    ("said", "state", "may", "effect"),
    [
        pytest.param(CLOSED_SUCCESS, ActionState.OPEN, True, Effect(200, ActionState.TOLD), id="success is told, not believed"),
        pytest.param(
            CLOSED_SUCCESS, ActionState.OPEN, False, Effect(200, ActionState.TOLD), id="also when its window has closed meanwhile"
        ),
        pytest.param(
            CLOSED_FAILURE, ActionState.OPEN, True, Effect(200, ActionState.CLOSED, Outcome.FAILURE), id="failure is the end"
        ),
        pytest.param(
            Feedback(Execution.CANCELED, Finished.NONE),
            ActionState.OPEN,
            True,
            Effect(200, ActionState.CLOSED, Outcome.FAILURE),
            id="gave up",
        ),
        pytest.param(
            Feedback(Execution.PROCEEDING, Finished.FAILURE),
            ActionState.OPEN,
            True,
            Effect(200),
            id="an error on the way is no end",
        ),
        pytest.param(REJECTED, ActionState.OPEN, True, Effect(200), id="rejected stays open, as with hawkBit"),
        pytest.param(SKIP, ActionState.OPEN, False, Effect(200), id="swupdate's answer to skip is no success"),
        pytest.param(CLOSED_SUCCESS, ActionState.TOLD, True, Effect(410), id="nothing more is expected"),
        pytest.param(CLOSED_FAILURE, ActionState.CLOSED, True, Effect(410), id="it is over"),
        pytest.param(CLOSED_SUCCESS, ActionState.CANCELLING, True, Effect(404), id="it is being stopped"),
    ],
)
def test_what_feedback_on_a_deployment_does(said: Feedback, state: ActionState, may: bool, effect: Effect) -> None:
    assert effect_of(said, state, may_update=may) == effect


@pytest.mark.parametrize(
    ("said", "state", "effect"),
    [
        pytest.param(CLOSED_SUCCESS, ActionState.CANCELLING, Effect(200, ActionState.CLOSED, Outcome.CANCELLED), id="stopped"),
        pytest.param(CLOSED_FAILURE, ActionState.CANCELLING, Effect(200, ActionState.CLOSED, Outcome.FAILURE), id="could not stop"),
        pytest.param(REJECTED, ActionState.CANCELLING, Effect(200), id="refuses: it is asked again"),
        pytest.param(CLOSED_SUCCESS, ActionState.OPEN, Effect(404), id="nobody asked"),
        pytest.param(CLOSED_SUCCESS, ActionState.CLOSED, Effect(410), id="over"),
    ],
)
def test_what_feedback_on_a_cancellation_does(said: Feedback, state: ActionState, effect: Effect) -> None:
    assert effect_on_cancel(said, state) == effect


def test_attributes_are_merged_replaced_and_removed() -> None:
    before = {"hw": "1", "slot": "A"}
    sent = {"mode": "merge", "data": {"slot": "B", "n": 3}, "id": "", "time": "x", "status": {}}
    assert merged(before, *read_attributes(json.dumps(sent).encode())) == {"hw": "1", "slot": "B", "n": "3"}
    assert merged(before, *read_attributes(b'{"data": {"x": "y"}}')) == {**before, "x": "y"}
    assert merged(before, Mode.REPLACE, {"x": "y"}) == {"x": "y"}
    assert merged(before, Mode.REMOVE, {"slot": ""}) == {"hw": "1"}
    for body, words in ((b"{}", "data: is missing"), (b'{"data": {"": "x"}}', "name"), (b'{"data": {}, "mode": "x"}', "mode: 'x'")):
        with pytest.raises(ProtocolError, match=words):
            read_attributes(body)
    with pytest.raises(ProtocolError, match="more than 100"):
        merged({f"a{n}": "" for n in range(60)}, Mode.MERGE, {f"b{n}": "" for n in range(60)})


def test_a_poll_names_one_thing_at_most() -> None:
    base = "http://vigie.example/vigie/controller/v1/T00012"
    assert base_document(Asked(), AT, poll_s=300) == {"config": {"polling": {"sleep": "00:05:00"}}}
    both = base_document(Asked(deployment=(7, 99), cancel=7, attributes=True), AT, poll_s=3661)
    assert both["config"]["polling"]["sleep"] == "01:01:01"
    assert both["_links"] == {"cancelAction": {"href": f"{base}/cancelAction/7"}, "configData": {"href": f"{base}/configData"}}
    offered = base_document(Asked(deployment=(7, 99)), AT, poll_s=1)
    assert offered["_links"] == {"deploymentBase": {"href": f"{base}/deploymentBase/7?c=99"}}
    assert sleep_of(86_399) == "23:59:59"


def test_a_deployment_has_what_both_clients_read() -> None:
    document = deployment_document(7, RELEASE, AT, md5="c" * 32, may_update=True, windowed=True)
    assert document["id"] == "7"
    assert {key: document["deployment"][key] for key in ("download", "update", "maintenanceWindow")} == {
        "download": "forced",
        "update": "forced",
        "maintenanceWindow": "available",
    }
    [chunk] = document["deployment"]["chunks"]
    assert (chunk["part"], chunk["version"], chunk["name"]) == ("os", "4.3.0", "firmware")
    href = "http://vigie.example/vigie/controller/v1/T00012/softwaremodules/7/artifacts/fw-4.3.0.swu"
    assert chunk["artifacts"] == [
        {
            "filename": "fw-4.3.0.swu",
            "hashes": {"sha1": "b" * 40, "md5": "c" * 32, "sha256": "a" * 64},
            "size": 1234,
            "_links": {"download-http": {"href": href}, "md5sum-http": {"href": f"{href}.MD5SUM"}},
        }
    ]
    secure = deployment_document(7, RELEASE, Addresses("https://v", "t", "T1"), md5="", may_update=False, windowed=False)[
        "deployment"
    ]
    assert (secure["download"], secure["update"], "maintenanceWindow" in secure) == ("skip", "skip", False)
    assert list(secure["chunks"][0]["artifacts"][0]["_links"]) == ["download", "md5sum"]
    assert cancel_document(7) == {"id": "7", "cancelAction": {"stopId": "7"}}


def offer(**changes: Any) -> Offer:
    policy = written(changed(Policy(), window=Window(("02:00", "06:30"), ("10:00", "00:30"), 30)))
    given = {
        "action_id": 7,
        "state": ActionState.OPEN,
        "kind": "update",
        "retrieved": False,
        "campaign_state": "running",
        "policy": policy,
        "timezone": "Europe/Paris",
        "opening_hours": "Mo-Su 07:00-20:00",
        "served": True,
    }
    return Offer(**{**given, **changes})


def deployment(asked: Asked) -> int | None:
    return asked.deployment[0] if asked.deployment else None


@pytest.mark.parametrize(
    ("one", "now", "asked"),
    [
        pytest.param(offer(), NIGHT, 7, id="running, in its window"),
        pytest.param(offer(campaign_state="rolling_back", kind="roll_back"), NIGHT, 7, id="the way back"),
        pytest.param(offer(campaign_state="rolling_back"), NIGHT, None, id="what is undone is offered no more"),
        pytest.param(offer(campaign_state="rolling_back", retrieved=True), NIGHT, None, id="nor ended"),
        pytest.param(offer(campaign_state="halted", kind="roll_back", retrieved=True), NIGHT, 7, id="a way back is ended"),
        pytest.param(offer(), NOON, None, id="out of its window nothing new"),
        pytest.param(offer(retrieved=True), NOON, 7, id="but who has fetched it keeps its link"),
        pytest.param(offer(timezone="America/Martinique"), NIGHT, None, id="its shop's own time"),
        pytest.param(offer(campaign_state="halted"), NIGHT, None, id="a halt ends new offers"),
        pytest.param(offer(campaign_state="paused", retrieved=True), NIGHT, 7, id="who has fetched it goes on"),
        pytest.param(offer(campaign_state="aborted", retrieved=True), NIGHT, None, id="aborted: nobody goes on"),
        pytest.param(offer(served=False), NIGHT, None, id="withdrawn"),
        pytest.param(offer(state=ActionState.TOLD), NIGHT, None, id="told: Vigie waits to see it"),
        pytest.param(offer(policy='{"window": 3}'), NIGHT, None, id="a policy that nobody can read"),
        pytest.param(offer(policy='{"window": null}'), NOON, 7, id="no window: at any time"),
    ],
)
def test_what_is_offered_and_when(one: Offer, now: datetime, asked: int | None) -> None:
    assert deployment(asked_of(one, now, attributes=False)) == asked


def test_who_began_in_the_window_may_end_in_its_last_minutes() -> None:
    late = datetime(2026, 11, 23, 5, 15, tzinfo=UTC)
    assert not offer().may_update(late)
    assert offer(retrieved=True).may_update(late)
    assert not offer(retrieved=True).may_update(late + timedelta(minutes=20))


def test_a_deployments_number_changes_when_its_window_does() -> None:
    in_window, out = (asked_of(offer(retrieved=True), now, attributes=False).deployment for now in (NIGHT, NOON))
    assert in_window
    assert out
    assert in_window != out


def test_a_device_is_asked_to_stop_whatever_its_campaign_does() -> None:
    assert asked_of(offer(state=ActionState.CANCELLING, campaign_state="aborted"), NOON, attributes=True) == Asked(None, 7, True)


def test_a_token_is_one_terminals_and_one_keys() -> None:
    token = device_token(KEY, "T00012")
    assert len(token) == 32
    assert is_from(f"TargetToken {token}", "T00012", KEY)
    assert is_from(f"targettoken  {token} ", "T00012", KEY)
    wrong = (None, "", token, f"Bearer {token}", f"TargetToken {token[:-1]}", "TargetToken", "TargetToken é")
    assert not any(is_from(header, "T00012", KEY) for header in wrong)
    assert not is_from(f"TargetToken {token}", "T00013", KEY)
    assert not is_from(f"TargetToken {token}", "T00012", "x" * 32)
