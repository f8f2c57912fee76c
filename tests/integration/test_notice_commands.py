"""`vigie notices` as an operator types it, beside a running watch's senders."""

import threading
from collections.abc import Iterator

import psycopg
import pytest
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner

from diagnostics.notices.deliver import Deliveries
from diagnostics.notices.outbox import dead_notices, list_notices, set_channels
from diagnostics.notices.policy import Channel
from diagnostics.notices.settings import NoticeSettings
from fleet.clock import system_clock
from fleet.settings import read
from tests.integration.notice_house import SECRET, START, Conn, Receiver, found, happens, receiving, wait_for
from vigie.cli import app
from vigie.commands.notices import group


@pytest.fixture
def db(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Conn]:
    monkeypatch.setenv("VIGIE_DATABASE_URL", database_url)
    # A table as wide as what it has to say.
    monkeypatch.setenv("COLUMNS", "200")
    with psycopg.connect(database_url, autocommit=True) as conn:
        yield conn


def vigie(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(group, arguments)
    return done.exit_code, done.output if done.exception is None else f"{done.output}{done.exception}"


def serving(database_url: str, receiver: Receiver) -> Deliveries:
    settings = read(NoticeSettings, notice_webhook_urls=receiver.url, notice_webhook_secret=SECRET)
    return Deliveries(database_url, settings, clock=system_clock(), stop=threading.Event(), into=CollectorRegistry())


def test_what_was_given_up_is_listed_and_tried_again(db: Conn, database_url: str) -> None:
    clock = system_clock()
    with receiving() as receiver, serving(database_url, receiver):
        receiver.answer(410, times=2)
        for scope in ({"lot": "L07"}, {"lot": "L08"}):
            happens(db, found(db, scope=scope), "opened", at=clock())
        wait_for(lambda: len(dead_notices(db)) == 2)
        status, listed = vigie("list", "--state", "dead")
        assert status == 0
        assert "webhook 127.0.0.1" in listed
        assert listed.count("refused: 410 Gone") == 2
        newest = dead_notices(db)[0]
        assert vigie("retry", str(newest.id)) == (0, "notices tried again: 1\n")
        wait_for(lambda: [notice.state for notice in list_notices(db)] == ["sent", "dead"])
        assert vigie("retry") == (0, "notices tried again: 1\n")
        wait_for(lambda: [notice.state for notice in list_notices(db)] == ["sent", "sent"])
    assert [got.body["kind"] for got in receiver.got] == ["opened"] * 4


def test_a_test_goes_the_whole_way(db: Conn, database_url: str) -> None:
    with receiving() as receiver, serving(database_url, receiver):
        status, said = vigie("test")
        assert (status, "sent" in said) == (0, True)
        receiver.answer(500)
        status, said = vigie("test", "--channel", list_notices(db)[0].channel)
        assert status == 1
        assert "not sent: webhook 127.0.0.1" in said
    assert [got.body["kind"] for got in receiver.got] == ["test", "test"]
    assert receiver.got[0].body["incident"] is None


def test_a_test_without_a_running_watch_says_that_nothing_was_sent(db: Conn) -> None:
    set_channels(db, [Channel("mail", "mail")], now=START)
    status, said = vigie("test", "--seconds", "0.3")
    assert (status, "not sent: mail" in said) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(("list", "--state", "lost"), "--state lost: one of waiting, sent, dead, dropped", id="no such state"),
        pytest.param(("test",), "no channel is set", id="nothing to test"),
        pytest.param(("test", "--channel", "pigeon"), "no channel pigeon", id="no such channel"),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(
    shared_database_url: str, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.setenv("VIGIE_DATABASE_URL", shared_database_url)
    status, told = vigie(*arguments)
    assert status == 1
    assert said in told


def test_the_commands_are_in_the_help() -> None:
    shown = CliRunner().invoke(app, ["notices", "--help"]).output
    assert all(name in shown for name in ("list", "retry", "test"))
