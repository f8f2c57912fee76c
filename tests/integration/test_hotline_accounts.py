from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import cast

import psycopg
import pytest
from typer.testing import CliRunner

from hotline.accounts import (
    AccountError,
    Agent,
    add_agent,
    add_token,
    agents,
    check_password,
    digest,
    find_token,
    remove_token,
    set_active,
    set_password,
    tokens,
)
from hotline.audit import entries
from hotline.floors import Floor
from hotline.roles import Role
from hotline.sessions import (
    GUESS_WINDOW,
    GUESSES_PER_ADDRESS,
    GUESSES_PER_LOGIN,
    Refusal,
    find_session,
    guess,
    sign_in,
    sign_out,
    sign_out_everywhere,
    still_signed_in,
)
from vigie.cli import app

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
HOURS, DAY = timedelta(hours=10), timedelta(hours=24)
PASSWORD = "correct horse battery"


@pytest.fixture
def alice(conn: psycopg.Connection) -> psycopg.Connection:
    """A database with one account."""
    add_agent(conn, login="Alice", name="Alice Martin", role=Role.LEVEL1, password=PASSWORD)
    return conn


def come_in(conn: psycopg.Connection, *, password: str = PASSWORD, address: str = "10.0.0.1", now: datetime = NOW) -> str | Refusal:
    result = sign_in(conn, login=" ALICE ", password=password, address=address, lifetime=HOURS, longest=DAY, now=now)
    return result if isinstance(result, Refusal) else result[0]


def test_a_password_is_kept_only_as_a_hash(alice: psycopg.Connection) -> None:
    row = alice.execute("SELECT password_hash FROM hotline.agent").fetchone()
    assert row is not None
    assert row[0].startswith("$argon2id$")
    assert check_password(alice, login="alice", password=PASSWORD)
    assert check_password(alice, login="alice", password="another password") is None
    assert check_password(alice, login="nobody", password=PASSWORD) is None


def test_a_login_is_given_once_and_passwords_are_long(alice: psycopg.Connection) -> None:
    with pytest.raises(AccountError, match="taken"):
        add_agent(alice, login="alice", name="Another", role=Role.LEVEL1, password=PASSWORD)
    with pytest.raises(AccountError, match="12 characters"):
        set_password(alice, login="alice", password="short")
    with pytest.raises(AccountError, match="no account"):
        set_active(alice, login="nobody", active=False)
    assert [agent.login for agent in agents(alice)] == ["alice"]


def test_an_account_sits_on_our_floor_unless_told_otherwise(alice: psycopg.Connection) -> None:
    add_agent(alice, login="omar", name="Omar Petit", role=Role.LEVEL1, password=PASSWORD, floor=Floor.OVERFLOW)
    assert [agent.floor for agent in agents(alice)] == [Floor.OWN, Floor.OVERFLOW]
    signed_in = check_password(alice, login="omar", password=PASSWORD)
    assert signed_in is not None
    assert signed_in.floor is Floor.OVERFLOW


def test_a_session_lasts_while_it_is_used(alice: psycopg.Connection) -> None:
    token = come_in(alice)
    later = NOW + timedelta(hours=9)
    assert find_session(alice, token=token, lifetime=HOURS, longest=DAY, now=later, slide=False)
    assert find_session(alice, token=token, lifetime=HOURS, longest=DAY, now=NOW + timedelta(hours=11)) is None
    assert find_session(alice, token=token, lifetime=HOURS, longest=DAY, now=later)
    assert find_session(alice, token=token, lifetime=HOURS, longest=DAY, now=NOW + timedelta(hours=11))


def test_a_session_ends_after_a_day_however_much_it_is_used(alice: psycopg.Connection) -> None:
    token = str(come_in(alice))
    for hour in range(5, 25, 5):
        stands = find_session(alice, token=token, lifetime=HOURS, longest=DAY, now=NOW + timedelta(hours=hour))
        assert stands is not None, hour
    assert find_session(alice, token=token, lifetime=HOURS, longest=DAY, now=NOW + DAY) is None


def test_a_session_ends_in_time_where_it_could_go_unused_for_longer(alice: psycopg.Connection) -> None:
    token, *_ = cast(
        "tuple[str, Agent]",
        sign_in(alice, login="alice", password=PASSWORD, address="10.0.0.1", lifetime=timedelta(hours=100), longest=DAY, now=NOW),
    )

    def stands(hours: int, *, longest: timedelta) -> tuple[bool, bool]:
        now = NOW + timedelta(hours=hours)
        found = find_session(alice, token=token, lifetime=timedelta(hours=100), longest=longest, now=now, slide=False)
        return found is not None, still_signed_in(alice, token_digest=digest(token), longest=longest, now=now)

    assert [stands(23, longest=DAY), stands(24, longest=DAY)] == [(True, True), (False, False)]
    # A setting that was made shorter since holds for sessions that are open.
    assert stands(23, longest=timedelta(hours=20)) == (False, False)


def test_guesses_at_once_are_counted_against_each_other(database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        add_agent(conn, login="alice", name="Alice Martin", role=Role.LEVEL1, password=PASSWORD)

    def one(_guess: int) -> Agent | Refusal:
        with psycopg.connect(database_url) as conn:
            return guess(conn, login="alice", password="wrong", address="10.0.0.1", now=NOW)

    with ThreadPoolExecutor(2 * GUESSES_PER_LOGIN) as threads:
        said = Counter(threads.map(one, range(2 * GUESSES_PER_LOGIN)))
    assert said == {Refusal.WRONG: GUESSES_PER_LOGIN, Refusal.TOO_MANY: GUESSES_PER_LOGIN}


def test_signing_out_everywhere_ends_ones_own_sessions_only(alice: psycopg.Connection) -> None:
    add_agent(alice, login="bruno", name="Bruno", role=Role.LEVEL1, password=PASSWORD)
    mine, also_mine = str(come_in(alice)), str(come_in(alice))
    other = sign_in(alice, login="bruno", password=PASSWORD, address="10.0.0.2", lifetime=HOURS, longest=DAY, now=NOW)
    assert not isinstance(other, Refusal)
    session = find_session(alice, token=mine, lifetime=HOURS, longest=DAY, now=NOW)
    assert session is not None
    assert sign_out_everywhere(alice, agent_id=session.agent.id) == 2
    left = [find_session(alice, token=token, lifetime=HOURS, longest=DAY, now=NOW) for token in (mine, also_mine, other[0])]
    assert [one.agent.login if one else None for one in left] == [None, None, "bruno"]


def test_a_sessions_token_is_kept_only_as_a_digest(alice: psycopg.Connection) -> None:
    token = come_in(alice)
    row = alice.execute("SELECT token_digest, csrf FROM hotline.session").fetchone()
    assert row is not None
    assert str(token).encode() not in bytes(row[0])
    assert len(row[1]) >= 32


def test_signing_out_changing_the_password_and_closing_the_account_end_sessions(alice: psycopg.Connection) -> None:
    first, second, third = (str(come_in(alice)) for _ in range(3))

    def stands(token: str) -> bool:
        return find_session(alice, token=token, lifetime=HOURS, longest=DAY, now=NOW) is not None

    sign_out(alice, token=first)
    assert [stands(first), stands(second)] == [False, True]
    set_password(alice, login="alice", password="a new long password")
    assert not stands(second)
    set_password(alice, login="alice", password=PASSWORD)
    third = str(come_in(alice))
    set_active(alice, login="alice", active=False)
    assert not stands(third)
    assert come_in(alice) is Refusal.WRONG


def test_guessing_one_login_is_stopped_even_for_the_right_password(alice: psycopg.Connection) -> None:
    for number in range(GUESSES_PER_LOGIN):
        assert come_in(alice, password="wrong", address=f"10.0.1.{number}") is Refusal.WRONG
    assert come_in(alice) is Refusal.TOO_MANY
    assert isinstance(come_in(alice, now=NOW + GUESS_WINDOW), str)


def test_guessing_many_logins_from_one_address_is_stopped(alice: psycopg.Connection) -> None:
    for number in range(GUESSES_PER_ADDRESS):
        sign_in(alice, login=f"nobody{number}", password="x", address="10.0.0.9", lifetime=HOURS, longest=DAY, now=NOW)
    assert come_in(alice, address="10.0.0.9") is Refusal.TOO_MANY
    assert isinstance(come_in(alice, address="10.0.0.8"), str)


def test_a_token_opens_only_what_it_was_made_for(conn: psycopg.Connection) -> None:
    token = add_token(conn, name="pbx", purpose="cti", role=Role.LEVEL1, now=NOW)
    assert find_token(conn, token=token, purpose="cti")
    assert find_token(conn, token=token, purpose="api") is None
    assert find_token(conn, token="guess", purpose="cti") is None
    with pytest.raises(AccountError, match="already"):
        add_token(conn, name="pbx", purpose="api", role=Role.LEVEL1, now=NOW)
    assert [entry.name for entry in tokens(conn)] == ["pbx"]
    remove_token(conn, name="pbx")
    assert find_token(conn, token=token, purpose="cti") is None


def test_the_command_line_shows_secrets_once(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIGIE_DATABASE_URL", database_url)

    def vigie(*arguments: str) -> str:
        result = CliRunner().invoke(app, list(arguments), catch_exceptions=False, env={"COLUMNS": "160"})
        assert result.exit_code == 0, result.output
        return result.output

    password = vigie("agent", "add", "Alice", "--name", "Alice Martin", "--role", "level1").rsplit(maxsplit=1)[-1]
    token = vigie("token", "add", "pbx", "--purpose", "cti").rsplit(maxsplit=1)[-1]
    with psycopg.connect(database_url) as conn:
        assert check_password(conn, login="alice", password=password)
        assert find_token(conn, token=token, purpose="cti")
    renewed = vigie("agent", "password", "alice").rsplit(maxsplit=1)[-1]
    assert renewed != password
    vigie("agent", "disable", "alice")
    listed = vigie("agent", "list") + vigie("token", "list")
    assert "Alice Martin" in listed
    assert password not in listed
    assert token not in listed
    with psycopg.connect(database_url) as conn:
        assert check_password(conn, login="alice", password=renewed) is None
    vigie("agent", "disable", "alice", "--undo")
    vigie("token", "remove", "pbx")
    with psycopg.connect(database_url) as conn:
        audit = [(row.actor, row.route, row.subject) for row in reversed(entries(conn))]
        assert audit[0] == ("command line", "vigie agent add", {"login": "alice", "role": "level1", "floor": "own"})
        assert [route.removeprefix("vigie ") for _, route, _ in audit[1:]] == [
            "token add",
            "agent password",
            "agent disable",
            "agent disable",
            "token remove",
        ]
        assert check_password(conn, login="alice", password=renewed)
        assert find_token(conn, token=token, purpose="cti") is None
    with pytest.raises(AccountError, match="taken"):
        vigie("agent", "add", "alice", "--name", "Another", "--role", "level1")
