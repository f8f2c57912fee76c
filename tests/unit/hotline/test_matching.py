from datetime import UTC, datetime, timedelta

import pytest

from hotline.accounts import Agent
from hotline.call_state import State
from hotline.matching import agents_meant, sees
from hotline.roles import Role
from hotline.stored_call import LONGEST_RING, LONGEST_TALK, LONGEST_WAIT, StoredCall

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
ALICE = Agent(1, "alice", "Alice Martin", "4021", Role.LEVEL1, "fr", active=True)
BRUNO = Agent(2, "bruno", "Bruno Lefèvre", "4022", Role.LEVEL2, "fr", active=True)
VERA = Agent(3, "vera", "Vera Veille", "", Role.VEILLE, "fr", active=True)
STAFF = [ALICE, BRUNO, VERA]


def call(**changes: object) -> StoredCall:
    fields: dict[str, object] = {
        "id": 1,
        "call_id": "c",
        "version": 1,
        "direction": "in",
        "state": State.RINGING,
        "from_number": "+33199001234",
        "to_number": "",
        "queue": "",
        "rang_at": NOW,
        "answered_at": None,
        "ended_at": None,
        "cause": "",
        "users": [],
        "answered_as": "",
        "called": [],
        "answered_by": None,
        "answered_by_name": None,
        "point_of_sale": None,
        "candidates": [],
    }
    return StoredCall(**{**fields, **changes})  # type: ignore[arg-type]  # a table's row is put together from parts


@pytest.mark.parametrize(
    ("names", "meant"),
    [
        pytest.param(["Alice Martin"], [1], id="full name"),
        pytest.param(["alice martin"], [1], id="case does not matter"),
        pytest.param(["Bruno Lefevre"], [2], id="accents do not matter"),
        pytest.param(["Martin, Alice"], [1], id="last name first"),
        pytest.param(["4022"], [2], id="extension"),
        pytest.param(["sip:4022@pbx.local;transport=tcp"], [2], id="SIP address"),
        pytest.param(["alice@example.org"], [1], id="login as an address"),
        pytest.param(["[Alice Martin, Bruno Lefèvre]"], [1, 2], id="several in one text"),
        pytest.param(["Bruno Lefèvre", "alice", "4021"], [2, 1], id="each once, in order"),
        pytest.param(["nobody", "", "level1"], [], id="nobody of ours"),
    ],
)
def test_agents_are_known_by_name_login_or_extension(names: list[str], meant: list[int]) -> None:
    assert agents_meant(names, STAFF) == meant


@pytest.mark.parametrize(
    ("changes", "on_screen_of"),
    [
        pytest.param({}, [ALICE, BRUNO], id="names nobody: everyone who answers"),
        pytest.param({"called": [1]}, [ALICE], id="rings one agent"),
        pytest.param({"called": [3]}, [VERA], id="rings somebody who does not usually answer"),
        pytest.param({"offers": True, "queue": "n1"}, [], id="waits in a queue whose phones are told one by one"),
        pytest.param({"offers": True, "called": [1, 2], "ringing": [2]}, [BRUNO], id="rings at the next phone"),
        pytest.param(
            {"offers": True, "ringing": [1], "rang_at": NOW - LONGEST_RING}, [ALICE], id="rings at a phone after a long wait"
        ),
        pytest.param({"offers": True, "ringing": [1], "rang_at": NOW - LONGEST_WAIT}, [], id="rings too long to be believed"),
        pytest.param(
            {"state": State.ANSWERED, "answered_at": NOW, "answered_by": 1, "handling": [1], "ringing": [2]},
            [ALICE, BRUNO],
            id="is being passed on",
        ),
        pytest.param(
            {"state": State.ANSWERED, "answered_at": NOW, "answered_by": 2, "handling": [1, 2]},
            [ALICE, BRUNO],
            id="was passed on, the first has not finished with it",
        ),
        pytest.param(
            {"state": State.ANSWERED, "answered_at": NOW, "answered_by": 1, "offers": True},
            [],
            id="was given back to a queue, its agent has finished with it",
        ),
        pytest.param({"direction": "out"}, [], id="an outgoing call of nobody known"),
        pytest.param({"direction": "out", "called": [2]}, [BRUNO], id="an outgoing call"),
        pytest.param({"state": State.ANSWERED, "answered_at": NOW, "answered_by": 2}, [BRUNO], id="answered: who answered"),
        pytest.param(
            {"state": State.ANSWERED, "answered_at": NOW, "answered_by": 2, "called": [1, 2]},
            [BRUNO],
            id="taken by another",
        ),
        pytest.param({"state": State.ANSWERED, "answered_at": NOW, "answered_as": "stranger"}, [], id="answered by a stranger"),
        pytest.param({"state": State.ANSWERED, "answered_at": NOW}, [ALICE, BRUNO], id="answered, nobody says by whom"),
        pytest.param({"state": State.ENDED, "ended_at": NOW, "answered_by": 1}, [ALICE], id="ended: who answered finishes"),
        pytest.param({"state": State.ENDED, "ended_at": NOW}, [], id="given up"),
        pytest.param({"rang_at": NOW - LONGEST_RING}, [], id="rings for too long to be believed"),
        pytest.param(
            {"state": State.ANSWERED, "answered_at": NOW - LONGEST_TALK, "answered_by": 1},
            [],
            id="talks for too long",
        ),
        pytest.param({"rang_at": NOW + timedelta(seconds=2)}, [ALICE, BRUNO], id="clocks a little apart"),
    ],
)
def test_a_call_stands_on_the_right_screens(changes: dict[str, object], on_screen_of: list[Agent]) -> None:
    assert [agent for agent in STAFF if sees(call(**changes), agent, now=NOW)] == on_screen_of
