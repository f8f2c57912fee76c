from datetime import UTC, datetime, timedelta

import pytest

from fleet.clock import to_ms
from fleet.contract import Presence
from fleet.presence import Change, Outcome, State, decide, fold

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
BORN = NOW - timedelta(minutes=5)
ONLINE = State("T00001", True, 3, BORN, boot=7, at=BORN, firmware="4.2.1")
OFFLINE = State("T00001", False, 3, BORN, boot=7, at=BORN, firmware="4.2.1")


def birth(session: int = 3, *, at: datetime = BORN, boot: int = 7) -> Presence:
    return Presence(state="online", session=session, boot=boot, at=to_ms(at), firmware="4.2.1", slot="A", model="B", hw="3")


def will(session: int = 3) -> Presence:
    return Presence(state="offline", session=session)


@pytest.mark.parametrize(
    ("current", "said", "outcome"),
    [
        pytest.param(None, birth(), Outcome.CAME_ONLINE, id="first birth"),
        pytest.param(None, will(), Outcome.WENT_OFFLINE, id="a will before any birth we saw"),
        pytest.param(ONLINE, birth(), Outcome.REPEATED, id="retained birth again"),
        pytest.param(ONLINE, birth(4, at=NOW), Outcome.CAME_ONLINE, id="new connection"),
        pytest.param(ONLINE, will(), Outcome.WENT_OFFLINE, id="will of the current session"),
        pytest.param(ONLINE, will(2), Outcome.OTHER_SESSION, id="late will of the session before"),
        pytest.param(OFFLINE, will(), Outcome.REPEATED, id="will again"),
        pytest.param(OFFLINE, birth(), Outcome.REPEATED, id="old birth after its will"),
        pytest.param(OFFLINE, birth(at=NOW), Outcome.CAME_ONLINE, id="new connection that reuses the number"),
        pytest.param(OFFLINE, birth(4, at=NOW), Outcome.CAME_ONLINE, id="back after an offline"),
    ],
)
def test_presence_message_is_judged_by_its_session(current: State | None, said: Presence, outcome: Outcome) -> None:
    assert decide(current, said) is outcome


def test_will_overtaken_by_the_next_birth_leaves_the_terminal_online() -> None:
    states, history = fold({"T00001": ONLINE}, [("T00001", birth(4, at=NOW)), ("T00001", will(3))], received_at=NOW)
    assert states["T00001"].online
    assert states["T00001"].session == 4
    assert history == [Change("T00001", NOW, True, 4)]


def test_replaying_a_batch_changes_nothing() -> None:
    said = [("T00001", birth(4, at=NOW)), ("T00002", birth()), ("T00002", will())]
    states, _ = fold({"T00001": ONLINE}, said, received_at=NOW)
    again, history = fold(states, said, received_at=NOW + timedelta(seconds=1))
    assert (again, history) == ({}, [])


def test_birth_with_a_clock_beyond_all_calendars_is_still_a_birth() -> None:
    states, _ = fold({}, [("T00001", Presence(state="online", session=1, at=2**53))], received_at=NOW)
    assert (states["T00001"].online, states["T00001"].at) == (True, None)
