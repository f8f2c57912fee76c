"""Signing in and staying signed in: server-side sessions that end by themselves, and a limit on guessing."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from fleet.database import Connection
from hotline.accounts import AGENT_COLUMNS, Agent, check_password, digest
from hotline.floors import Floor
from hotline.roles import Right, may

# Guesses: five wrong passwords for one login, or thirty from one address (a floor may share it), within a quarter of an hour.
GUESS_WINDOW = timedelta(minutes=15)
GUESSES_PER_LOGIN = 5
GUESSES_PER_ADDRESS = 30
# The sliding end is moved at most this often: a page view need not cost a write.
_SLIDE_EVERY = timedelta(minutes=1)


class Refusal(StrEnum):
    """Why a sign-in was refused."""

    WRONG = "wrong"
    TOO_MANY = "too_many"


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody signed in; `csrf` must come with every request that changes something."""

    agent: Agent
    csrf: str
    token_digest: bytes

    @property
    def floor(self) -> Floor:
        """Where the agent sits: what they may see depends on it."""
        return self.agent.floor

    def may(self, right: Right) -> bool:
        """Whether the agent has the right."""
        return may(self.agent.role, right, self.floor)


def guess(conn: Connection, *, login: str, password: str, address: str, now: datetime) -> Agent | Refusal:
    """Whose password this is, or why that is not said; wrong ones are counted, wherever they are typed.

    A refused guess is not verified at all, so that guessing costs us nothing.
    """
    login = login.strip().lower()[:200]
    # Guesses at one login take their turns, else many at once would not be counted against each other.
    conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('guess ' || %(login)s, 0))", {"login": login})
    if _too_many_guesses(conn, login=login, address=address, now=now):
        return Refusal.TOO_MANY
    agent = check_password(conn, login=login, password=password)
    if agent is None:
        conn.execute("DELETE FROM hotline.sign_in_failure WHERE at < %(before)s", {"before": now - GUESS_WINDOW})
        conn.execute(
            "INSERT INTO hotline.sign_in_failure (login, address, at) VALUES (%(login)s, %(address)s, %(now)s)",
            {"login": login, "address": address, "now": now},
        )
        return Refusal.WRONG
    conn.execute("DELETE FROM hotline.sign_in_failure WHERE login = %(login)s", {"login": login})
    return agent


def sign_in(
    conn: Connection, *, login: str, password: str, address: str, lifetime: timedelta, longest: timedelta, now: datetime
) -> tuple[str, Agent] | Refusal:
    """Open a session and return its token (shown to the browser once) and whose it is, or say why not.

    It ends after `lifetime` without use, and after `longest` in any case.
    """
    agent = guess(conn, login=login, password=password, address=address, now=now)
    if isinstance(agent, Refusal):
        return agent
    conn.execute("DELETE FROM hotline.session WHERE expires_at < %(now)s", {"now": now})
    token = secrets.token_urlsafe(32)
    conn.execute(
        "INSERT INTO hotline.session (token_digest, agent_id, csrf, created_at, expires_at)"
        " VALUES (%(digest)s, %(agent)s, %(csrf)s, %(now)s, %(end)s)",
        {
            "digest": digest(token),
            "agent": agent.id,
            "csrf": secrets.token_urlsafe(24),
            "now": now,
            "end": now + min(lifetime, longest),
        },
    )
    return token, agent


def find_session(
    conn: Connection, *, token: str, lifetime: timedelta, longest: timedelta, now: datetime, slide: bool = True
) -> Session | None:
    """The session of a cookie's token, its end moved on by use; None once it has ended or its account is closed.

    It ends `lifetime` after its last use, and `longest` after the sign-in whatever the use.

    `slide` False looks without counting as use: a page that refreshes itself must not keep an empty chair signed in.
    """
    row = conn.execute(
        f"SELECT s.csrf, s.token_digest, s.expires_at, s.created_at, {', '.join('a.' + c for c in AGENT_COLUMNS.split(', '))}"
        " FROM hotline.session s JOIN hotline.agent a ON a.id = s.agent_id"
        # A session of a time when it could be longer ends with the setting of today.
        " WHERE s.token_digest = %(digest)s AND s.expires_at > %(now)s AND s.created_at > %(oldest)s AND a.active",
        {"digest": digest(token), "now": now, "oldest": now - longest},
    ).fetchone()
    if row is None:
        return None
    csrf, token_digest, expires_at, created_at, *agent = row
    end = min(now + lifetime, created_at + longest)
    if slide and end - expires_at > _SLIDE_EVERY:
        conn.execute(
            "UPDATE hotline.session SET expires_at = %(end)s WHERE token_digest = %(digest)s",
            {"end": end, "digest": token_digest},
        )
    return Session(Agent(*agent), csrf, bytes(token_digest))


def sign_out(conn: Connection, *, token: str) -> None:
    """End a session; nothing happens where it has ended already."""
    conn.execute("DELETE FROM hotline.session WHERE token_digest = %(digest)s", {"digest": digest(token)})


def sign_out_everywhere(conn: Connection, *, agent_id: int) -> int:
    """End all of an agent's sessions; returns how many there were."""
    return conn.execute("DELETE FROM hotline.session WHERE agent_id = %(agent)s", {"agent": agent_id}).rowcount


def sessions_beside(conn: Connection, session: Session, *, now: datetime) -> list[tuple[datetime, bool]]:
    """When each open session of the same agent began, newest first, and whether it is this one."""
    return conn.execute(
        "SELECT created_at, token_digest = %(digest)s FROM hotline.session"
        " WHERE agent_id = %(agent)s AND expires_at > %(now)s ORDER BY created_at DESC",
        {"agent": session.agent.id, "digest": session.token_digest, "now": now},
    ).fetchall()


def known_login(conn: Connection, *, login: str) -> str | None:
    """The login as it is stored, if somebody has it."""
    row = conn.execute("SELECT login FROM hotline.agent WHERE login = %(login)s", {"login": login.strip().lower()}).fetchone()
    return row[0] if row else None


def still_signed_in(conn: Connection, *, token_digest: bytes, longest: timedelta, now: datetime) -> bool:
    """Whether a session still stands, without counting as use."""
    row = conn.execute(
        "SELECT 1 FROM hotline.session s JOIN hotline.agent a ON a.id = s.agent_id"
        " WHERE s.token_digest = %(digest)s AND s.expires_at > %(now)s AND s.created_at > %(oldest)s AND a.active",
        {"digest": token_digest, "now": now, "oldest": now - longest},
    ).fetchone()
    return row is not None


def _too_many_guesses(conn: Connection, *, login: str, address: str, now: datetime) -> bool:
    row = conn.execute(
        "SELECT count(*) FILTER (WHERE login = %(login)s), count(*) FILTER (WHERE address = %(address)s)"
        " FROM hotline.sign_in_failure WHERE at > %(since)s",
        {"login": login, "address": address, "since": now - GUESS_WINDOW},
    ).fetchone()
    assert row is not None
    return bool(row[0] >= GUESSES_PER_LOGIN or row[1] >= GUESSES_PER_ADDRESS)
