from datetime import UTC, datetime, timedelta

import pytest

from hotline.command_words import took
from hotline.commands import EXPIRY, Command, Fate, Order, fate_of

ASKED = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)


def command(
    *, sent: float | None = None, heard: bool | None = None, answered: float | None = None, ok: bool | None = None
) -> Command:
    def at(seconds: float | None) -> datetime | None:
        return None if seconds is None else ASKED + timedelta(seconds=seconds)

    return Command(7, "T00012", Order.PING, "alice", ASKED, ASKED + EXPIRY, at(sent), heard, at(answered), ok, "pong")


@pytest.mark.parametrize(
    ("known", "after_s", "fate"),
    [
        pytest.param(command(), 1, Fate.WAITING, id="just asked"),
        pytest.param(command(), 60, Fate.UNSENT, id="the broker was away all its time"),
        pytest.param(command(sent=1, heard=True), 59, Fate.SENT, id="on its way"),
        pytest.param(command(sent=59, heard=True), 65, Fate.SENT, id="sent late: its answer may still come"),
        pytest.param(command(sent=1, heard=True), 70, Fate.UNANSWERED, id="no answer"),
        pytest.param(command(sent=1, heard=False), 2, Fate.UNHEARD, id="nobody listened"),
        pytest.param(command(sent=1, heard=True, answered=2, ok=True), 3, Fate.DONE, id="done"),
        pytest.param(command(sent=1, heard=True, answered=2, ok=False), 3, Fate.FAILED, id="the terminal could not"),
        pytest.param(command(sent=1, heard=True, answered=300, ok=True), 301, Fate.DONE, id="an answer counts whenever it comes"),
        pytest.param(command(answered=2, ok=True), 3, Fate.DONE, id="answered before we noted that it was sent"),
    ],
)
def test_what_became_of_an_order_is_read_from_what_is_known_of_it(known: Command, after_s: float, fate: Fate) -> None:
    assert fate_of(known, now=ASKED + timedelta(seconds=after_s)) is fate


def test_how_long_an_answer_took_is_told_in_the_readers_language() -> None:
    assert took(command(sent=1, heard=True, answered=2.44, ok=True), "fr") == "1,4\u202fs"
    assert took(command(sent=1, heard=True), "en") == ""
