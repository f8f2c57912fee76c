import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.call_events import CallEvent, Happening
from hotline.cti import CtiError, parse_event

JSON = {
    "event": "newCall",
    "from": "0199001234",
    "to": "0353010000",
    "direction": "in",
    "callId": "c-1",
    "user": ["Alice Martin", "Bob Roux"],
    "queue": "niveau 1",
}
PARSED = CallEvent(
    Happening.RANG, "c-1", "newCall", "in", "0199001234", "0353010000", ("Alice Martin", "Bob Roux"), queue="niveau 1"
)


def with_(**changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {**JSON, **changes}
    return {name: value for name, value in fields.items() if value is not ...}


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(JSON, id="JSON as Zammad documents it"),
        pytest.param(with_(callId=..., call_id="c-1"), id="call_id"),
        pytest.param(with_(callId=..., callid="c-1"), id="callid"),
        pytest.param(with_(callId="", callid="c-1"), id="one spelling empty, the other filled"),
        pytest.param(with_(user=..., **{"user[]": ["Alice Martin", "Bob Roux"]}), id="user[] of a form"),
        pytest.param(with_(user=["Alice Martin", "", "Bob Roux", "Alice Martin"]), id="users repeated and empty"),
        pytest.param(with_(direction="inbound"), id="a bridge's word for in"),
        pytest.param(with_(event=["newCall"], **{"callId": ["c-1"]}), id="form values as lists"),
        pytest.param(with_(voicemail="x", extra={"a": 1}), id="fields we do not know"),
    ],
)
def test_every_spelling_gives_the_same_event(fields: dict[str, Any]) -> None:
    assert parse_event(fields) == PARSED


def test_later_events_may_leave_out_everything_but_the_call() -> None:
    assert parse_event({"event": "hangup", "callId": "c-1", "cause": "normalClearing"}) == CallEvent(
        Happening.ENDED, "c-1", "hangup", cause="normalClearing"
    )


@pytest.mark.parametrize(
    ("fields", "agent"),
    [
        pytest.param({"answeringNumber": "4021", "user": "Alice Martin"}, "4021", id="by its own field"),
        pytest.param({"user": "Alice Martin"}, "Alice Martin", id="by the only user"),
        pytest.param({"user[]": ["Alice Martin", "Bob Roux"]}, "", id="one of several, nobody says which"),
        pytest.param({}, "", id="nobody says"),
    ],
)
def test_who_answers(fields: dict[str, Any], agent: str) -> None:
    event = parse_event({"event": "answer", "callId": "c-1", **fields})
    assert (event.kind, event.agent) == (Happening.CONNECTED, agent)


def test_a_lone_user_is_one_user() -> None:
    assert parse_event(with_(user="Martin, Alice")).users == ("Martin, Alice",)


def test_a_number_given_as_a_number_is_read() -> None:
    assert parse_event(with_(callId=123456)).call_id == "123456"


def test_other_events_are_read_so_that_they_can_be_recorded() -> None:
    assert parse_event({"event": "hold", "callId": "c-1"}).kind is Happening.DETAILS


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({}, "event", id="nothing"),
        pytest.param(with_(event=""), "event", id="event empty"),
        pytest.param(with_(event={"a": 1}), "event", id="event an object"),
        pytest.param(with_(callId=...), "callId", id="no call id"),
        pytest.param(with_(callId="x" * 251), "callId", id="call id longer than Zammad allows"),
        pytest.param(with_(callId="a\x00b"), "callId", id="a NUL, which no text column holds"),
        pytest.param(with_(callId="a\ud800b"), "callId", id="half a surrogate pair"),
        pytest.param(with_(direction="sideways"), "direction", id="direction unknown"),
        pytest.param(with_(**{"from": {"number": "1"}}), "from", id="from an object"),
        pytest.param(with_(to=True), "to", id="to a truth value"),
        pytest.param(with_(user=["x"] * 101), "user", id="too many users"),
        pytest.param(with_(user=[{"name": "x"}]), "user", id="a user that is an object"),
        pytest.param(with_(answeringNumber=1.5), "answeringNumber", id="a fraction"),
    ],
)
def test_what_cannot_be_read_names_its_field(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(CtiError) as raised:
        parse_event(fields)
    assert raised.value.field == field


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(["event", "callId", "call_id", "callid", "user", "user[]", "from", "to", "direction", "cause"]) | st.text(
    max_size=8
)


@given(st.dictionaries(names, json_values, max_size=8))
def test_any_fields_are_read_or_refused_with_a_field(fields: dict[str, Any]) -> None:
    with contextlib.suppress(CtiError):
        event = parse_event(fields)
        assert event.call_id
        assert event.name
