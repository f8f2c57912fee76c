"""What Asterisk's events mean: the sequences are those of a real Asterisk 22, shortened to the fields that count."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.call_events import CallEvent, Happening
from hotline.call_legs import LegKind, Outcome
from hotline.call_state import Call, apply
from hotline.telephony.mapping import Roster, Translator, agent_of, resource_of
from hotline.telephony.protocol import Message

SHOP = {"Channel": "PJSIP/trunk-00000000", "CallerIDNum": "0199001234", "Exten": "3008", "Uniqueid": "9.0", "Linkedid": "9.0"}
CALL = "asterisk:9.0"
START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def said(event: str, *parts: Message, **fields: str) -> Message:
    """One message of the exchange."""
    whole = {"Event": event}
    for part in (*parts, {name.replace("_", "-"): value for name, value in fields.items()}):
        whole |= part
    return whole


def agent(extension: str, leg: str, call: str = "9.0") -> Message:
    """An agent's own channel."""
    return {"Channel": f"PJSIP/{extension}-0000000a", "CallerIDNum": "3008", "Uniqueid": leg, "Linkedid": call}


def rung(extension: str, leg: str, queue: str = "hotline") -> Message:
    """What a queue's event says of the agent it rings."""
    interface = f"PJSIP/{extension}"
    return {
        "DestChannel": f"{interface}-0000000a",
        "DestUniqueid": leg,
        "Interface": interface,
        "MemberName": interface,
        "Queue": queue,
    }


MEMBERS = [said("QueueMember", Location=f"PJSIP/{one}", StateInterface=f"PJSIP/{one}") for one in ("4021", "4022", "4023", "4031")]
BEGUN = [*MEMBERS, said("Newchannel", SHOP), said("QueueCallerJoin", SHOP, Queue="hotline")]
ANSWERED = [
    *BEGUN,
    said("Newchannel", agent("4021", "9.1")),
    said("AgentCalled", SHOP, rung("4021", "9.1")),
    said("DialBegin", SHOP, rung("4021", "9.1")),
    said("DialEnd", SHOP, rung("4021", "9.1"), DialStatus="ANSWER"),
    said("QueueCallerLeave", SHOP, Queue="hotline"),
    said("AgentConnect", SHOP, rung("4021", "9.1")),
]
NEXT_AGENT = [
    said("AgentCalled", SHOP, rung("4023", "9.2", "level2")),
    said("QueueCallerLeave", SHOP, Queue="level2"),
    said("AgentConnect", SHOP, rung("4023", "9.2", "level2")),
]


def heard(messages: list[Message]) -> list[CallEvent]:
    translator = Translator()
    found = [event for message in messages for event in translator.hear(message)]
    return [event for event in found if isinstance(event, CallEvent)]


def told(messages: list[Message]) -> list[str]:
    """The events in short: what happened, at which queue or agent."""
    return [f"{event.kind} {event.agent or event.queue or event.call_id}" for event in heard(messages)]


ENDED = f"ended {CALL}"
TAKEN = ["queued hotline", "offered 4021", "left_queue hotline", "connected 4021"]


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        pytest.param(
            [
                said("AgentComplete", SHOP, rung("4021", "9.1"), Reason="agent"),
                said("Hangup", agent("4021", "9.1")),
                said("Hangup", SHOP),
            ],
            ["released 4021", ENDED],
            id="the agent hangs up",
        ),
        pytest.param([said("Hangup", SHOP), said("Hangup", agent("4021", "9.1"))], [ENDED], id="the caller hangs up"),
        pytest.param(
            [said("Hold", agent("4021", "9.1")), said("Unhold", agent("4021", "9.1"))], ["held 4021", "resumed 4021"], id="hold"
        ),
        pytest.param([said("Hold", SHOP)], [], id="a caller who holds is no agent who holds"),
        pytest.param(
            [
                said("BlindTransfer", Result="Success", TransfererLinkedid="9.0", TransfererUniqueid="9.1", Extension="600"),
                said("AgentComplete", SHOP, rung("4021", "9.1"), Reason="transfer"),
                said("Hangup", agent("4021", "9.1")),
                said("QueueCallerJoin", SHOP, Queue="level2"),
                *NEXT_AGENT,
                said("Hangup", SHOP),
            ],
            ["released 4021", "queued level2", "offered 4023", "left_queue level2", "connected 4023", ENDED],
            id="passed on to level 2 without asking",
        ),
        pytest.param(
            [
                said("BlindTransfer", Result="Success", TransfererLinkedid="9.0", TransfererUniqueid="9.1"),
                said("DialBegin", SHOP, DestChannel="PJSIP/4023-0000000b", DestUniqueid="9.2"),
                said("DialEnd", SHOP, DestChannel="PJSIP/4023-0000000b", DestUniqueid="9.2", DialStatus="ANSWER"),
            ],
            ["released 4021", "offered 4023", "connected 4023"],
            id="passed on to a colleague's telephone",
        ),
        pytest.param(
            [
                said("Newchannel", agent("4021", "9.5", call="9.5"), Exten="600"),
                said("QueueCallerJoin", agent("4021", "9.5", call="9.5"), Queue="level2"),
                said("AgentCalled", agent("4021", "9.5", call="9.5"), rung("4023", "9.6", "level2")),
                said("QueueCallerLeave", agent("4021", "9.5", call="9.5"), Queue="level2"),
                said("AgentConnect", agent("4021", "9.5", call="9.5"), rung("4023", "9.6", "level2")),
                said("AttendedTransfer", Result="Success", OrigTransfererLinkedid="9.0", OrigTransfererUniqueid="9.1"),
                said("Hangup", agent("4021", "9.5", call="9.5")),
                said("Hangup", agent("4021", "9.1")),
                said("Hangup", SHOP),
                said("Hangup", agent("4023", "9.6")),
            ],
            ["queued level2", "offered 4023", "left_queue level2", "connected 4023", "released 4021", ENDED],
            id="passed on to level 2 after asking: one call",
        ),
        pytest.param(
            [
                said("BlindTransfer", Result="Fail", TransfererLinkedid="9.0", TransfererUniqueid="9.1"),
            ],
            [],
            id="a transfer that failed changes nothing",
        ),
    ],
)
def test_an_answered_call_goes_on(after: list[Message], expected: list[str]) -> None:
    assert told([*ANSWERED, *after]) == [*TAKEN, *expected]


def test_a_caller_who_flows_over_has_not_given_up() -> None:
    messages = [
        *BEGUN,
        said("AgentCalled", SHOP, rung("4021", "9.1")),
        said("AgentRingNoAnswer", SHOP, rung("4021", "9.1")),
        said("DialEnd", SHOP, rung("4021", "9.1"), DialStatus="NOANSWER"),
        # Asterisk says so also where the queue's time is over.
        said("QueueCallerAbandon", SHOP, Queue="hotline"),
        said("Hangup", agent("4021", "9.1")),
        said("QueueCallerLeave", SHOP, Queue="hotline"),
        said("QueueCallerJoin", SHOP, Queue="overflow"),
        said("AgentCalled", SHOP, rung("4031", "9.2", "overflow")),
    ]
    expected = ["queued hotline", "offered 4021", "released 4021", "left_queue hotline", "queued overflow", "offered 4031"]
    assert told(messages) == expected
    assert {event.call_id for event in heard(messages)} == {CALL}


def test_what_a_queue_says_after_a_calls_end_begins_no_call() -> None:
    over = [*BEGUN, said("Hangup", SHOP)]
    late = [
        said("QueueCallerLeave", SHOP, Queue="hotline"),
        said("AgentCalled", SHOP, rung("4021", "9.1")),
        said("AgentConnect", SHOP, rung("4021", "9.1")),
    ]
    translator = Translator()
    for message in over:
        translator.hear(message)
    assert [translator.hear(message) for message in late] == [[], [], []]
    [roster] = translator.hear(said("CoreShowChannelsComplete"))
    assert roster == Roster(frozenset())


def test_a_queue_that_a_caller_comes_back_to_is_another_wait() -> None:
    messages = [
        *BEGUN,
        said("QueueCallerLeave", SHOP, Queue="hotline"),
        said("QueueCallerJoin", SHOP, Queue="overflow"),
        said("QueueCallerLeave", SHOP, Queue="overflow"),
        said("QueueCallerJoin", SHOP, Queue="hotline"),
        # What was asked for at the beginning is told late.
        said("QueueEntry", SHOP, Queue="hotline"),
        said("AgentCalled", SHOP, rung("4021", "9.1")),
        said("QueueCallerLeave", SHOP, Queue="hotline"),
        said("AgentConnect", SHOP, rung("4021", "9.1")),
        said("Hangup", SHOP),
    ]
    call: Call | None = None
    for second, event in enumerate(heard(messages)):
        call = apply(call, event, now=START + timedelta(seconds=second)).call
    assert call is not None
    assert [(leg.queue, leg.kind, leg.outcome) for leg in call.legs] == [
        ("hotline", LegKind.QUEUE, Outcome.OVERFLOWED),
        ("overflow", LegKind.QUEUE, Outcome.OVERFLOWED),
        ("hotline", LegKind.QUEUE, Outcome.ANSWERED),
        ("hotline", LegKind.AGENT, Outcome.ANSWERED),
    ]


def test_a_wait_of_a_new_connection_is_never_one_of_the_connection_before() -> None:
    join = said("QueueCallerJoin", SHOP, Queue="hotline")
    [[first], [second]] = ([*Translator(since).hear(join)] for since in ("12:00", "12:05"))
    assert isinstance(first, CallEvent)
    assert isinstance(second, CallEvent)
    assert first.leg != second.leg


def test_a_caller_whom_no_queue_answered_rings_at_a_telephone_at_last() -> None:
    messages = [*BEGUN, said("QueueCallerLeave", SHOP, Queue="hotline"), said("DialBegin", SHOP, rung("4023", "9.2", ""))]
    assert told(messages)[-1] == "offered 4023"


def test_every_event_tells_who_rings_and_which_part_of_the_call_it_is() -> None:
    events = heard(ANSWERED)
    assert {(event.from_number, event.to_number, event.direction) for event in events} == {("0199001234", "3008", "in")}
    assert [(event.kind, event.leg) for event in events if event.agent] == [
        (Happening.OFFERED, "9.1"),
        (Happening.CONNECTED, "9.1"),
    ]


def test_a_call_straight_to_an_agents_telephone_is_the_hotlines() -> None:
    direct = [said("Newchannel", SHOP, Exten="4021"), said("DialBegin", SHOP, rung("4021", "9.1"))]
    assert told([*MEMBERS, *direct, said("Hangup", SHOP)]) == ["offered 4021", f"ended {CALL}"]
    assert told(direct) == []


def test_an_agent_who_rings_a_shop_makes_an_outgoing_call() -> None:
    mine = {**agent("4021", "9.0"), "Exten": "0199001234", "CallerIDNum": "4021"}
    shop = {"DestChannel": "PJSIP/trunk-0000000c", "DestUniqueid": "9.1"}
    messages = [
        *MEMBERS,
        said("Newchannel", mine),
        said("DialBegin", mine, shop),
        said("DialEnd", mine, shop, DialStatus="ANSWER"),
        said("Hangup", mine),
    ]
    events = heard(messages)
    assert [event.kind for event in events] == [Happening.RANG, Happening.CONNECTED, Happening.ENDED]
    assert {(event.direction, event.to_number) for event in events} == {("out", "0199001234")}
    assert (events[0].users, events[1].agent) == (("4021",), "4021")


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param([said("Newchannel", agent("4021", "9.0")), said("Hangup", agent("4021", "9.0"))], id="lifts and lays down"),
        pytest.param(
            [
                said("Newchannel", agent("4021", "9.0"), Exten="4022"),
                said("DialBegin", agent("4021", "9.0"), rung("4022", "9.1")),
                said("Hangup", agent("4021", "9.0")),
            ],
            id="rings a colleague",
        ),
        pytest.param(
            [
                said("Newchannel", agent("4021", "9.0"), Exten="600"),
                said("QueueCallerJoin", agent("4021", "9.0"), Queue="level2"),
                said("QueueCallerLeave", agent("4021", "9.0"), Queue="level2"),
                said("Hangup", agent("4021", "9.0")),
            ],
            id="tries a queue",
        ),
        pytest.param([said("Newchannel", SHOP), said("Hangup", SHOP)], id="a caller who hears only the welcome"),
        pytest.param([said("VarSet", SHOP), {"Response": "Success"}, {}], id="noise"),
        pytest.param([said("Newchannel"), said("AgentCalled"), said("AgentConnect"), said("Hangup")], id="channels without an id"),
    ],
)
def test_what_is_no_call_of_the_hotline_makes_none(messages: list[Message]) -> None:
    assert told([*MEMBERS, *messages]) == []


def test_a_telephone_behind_a_local_channel_is_the_same_part_of_the_call() -> None:
    local = {**rung("4021", "9.1"), "DestChannel": "Local/4021@agents-00000001;1", "Interface": "Local/4021@agents/n"}
    messages = [
        *BEGUN,
        said("AgentCalled", SHOP, local),
        said("AgentConnect", SHOP, local),
        said("Hold", agent("4021", "9.3")),
        # What stood between them goes once they are joined; the agent still talks.
        said("Hangup", {**agent("4021", "9.2"), "Channel": "Local/4021@agents-00000001;2"}),
        said("Unhold", agent("4021", "9.3")),
        said("Hangup", agent("4021", "9.3")),
    ]
    assert [event.leg for event in heard(messages)[1:]] == ["9.1"] * 5
    assert told(messages)[1:] == ["offered 4021", "connected 4021", "held 4021", "resumed 4021", "released 4021"]


def test_what_went_on_before_we_listened_is_taken_up() -> None:
    spoken, waits = agent("4021", "9.1"), {**SHOP, "Uniqueid": "8.0", "Linkedid": "8.0"}
    translator = Translator()
    messages = [
        *MEMBERS,
        said("QueueEntry", Queue="hotline", Channel="PJSIP/trunk-00000007", Uniqueid="8.0", CallerIDNum="0199001235"),
        said("CoreShowChannel", spoken, BridgeId="b"),
        said("CoreShowChannel", SHOP, BridgeId="b", Application="Queue", ApplicationData="hotline,,,,4"),
        said("CoreShowChannel", waits),
        said("CoreShowChannel", agent("4022", "7.0", call="7.0")),
        said("CoreShowChannelsComplete"),
        said("Hangup", SHOP),
    ]
    found = [event for message in messages for event in translator.hear(message)]
    assert [f"{event.kind} {event.call_id}" for event in found if isinstance(event, CallEvent)] == [
        "queued asterisk:8.0",
        f"connected {CALL}",
        f"ended {CALL}",
    ]
    assert [event.queue for event in found if isinstance(event, CallEvent)][:2] == ["hotline", "hotline"]
    assert [event for event in found if isinstance(event, Roster)] == [Roster(frozenset({CALL, "asterisk:8.0"}))]


@pytest.mark.parametrize(
    ("channel", "resource"),
    [
        ("PJSIP/4021-0000002a", "4021"),
        ("PJSIP/desk-4021", "desk-4021"),
        ("Local/4021@agents/n", "4021"),
        ("Local/4021@agents-00000001;2", "4021"),
        ("no channel", ""),
        ("", ""),
    ],
)
def test_a_channel_names_its_telephone(channel: str, resource: str) -> None:
    assert resource_of(channel) == resource


@pytest.mark.parametrize(
    ("interface", "member", "name"),
    [
        ("PJSIP/4021", "Alice Martin", "4021"),
        ("PJSIP/desk-7", "Alice Martin", "Alice Martin"),
        ("PJSIP/alice", "PJSIP/alice", "alice"),
        ("PJSIP/alice", "", "alice"),
    ],
)
def test_an_agent_is_named_by_extension_or_name(interface: str, member: str, name: str) -> None:
    assert agent_of({"Interface": interface, "MemberName": member}) == name


def test_only_what_a_queue_rings_names_a_queue() -> None:
    passed_on = [
        said("BlindTransfer", Result="Success", TransfererLinkedid="9.0", TransfererUniqueid="9.1"),
        said("DialBegin", SHOP, DestChannel="PJSIP/4023-0000000b", DestUniqueid="9.2"),
    ]
    assert [event.queue for event in heard([*ANSWERED, *passed_on])] == ["hotline"] * 5 + [""]


EVERYTHING = [
    *ANSWERED,
    *NEXT_AGENT,
    said("Hold", agent("4021", "9.1")),
    said("Newchannel", agent("4021", "9.5", call="9.5"), Exten="600"),
    said("QueueCallerJoin", agent("4021", "9.5", call="9.5"), Queue="level2"),
    said("BlindTransfer", Result="Success", TransfererLinkedid="9.0", TransfererUniqueid="9.1"),
    said("AttendedTransfer", Result="Success", OrigTransfererLinkedid="9.0", OrigTransfererUniqueid="9.1"),
    said("CoreShowChannel", agent("4021", "9.1"), BridgeId="b"),
    said("CoreShowChannelsComplete"),
    said("QueueEntry", Queue="hotline", Uniqueid="9.0"),
    said("Hangup", agent("4021", "9.1")),
    said("Hangup", agent("4021", "9.5", call="9.5")),
    said("Hangup", SHOP),
    *({"Event": event} for event in ("Newchannel", "AgentCalled", "AgentConnect", "DialBegin", "DialEnd", "Hold", "Hangup")),
]


@given(st.lists(st.sampled_from(EVERYTHING), max_size=40))
def test_lost_repeated_and_mixed_up_events_end_each_call_at_most_once_for_each_beginning(messages: list[Message]) -> None:
    open_calls: set[str] = set()
    for event in heard(messages):
        assert event.call_id.startswith("asterisk:")
        assert (event.kind is not Happening.ENDED) or event.call_id in open_calls
        if event.kind is Happening.ENDED:
            open_calls.discard(event.call_id)
        else:
            open_calls.add(event.call_id)
