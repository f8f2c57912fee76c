"""The people who sign in and the programs that hold tokens; passwords are kept as argon2 hashes, tokens as digests."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from psycopg.rows import class_row

from fleet.database import Connection
from fleet.errors import VigieError
from hotline.floors import Floor
from hotline.roles import Role

SHORTEST_PASSWORD = 12
# RFC 9106's second recommendation (64 MiB, three passes) would let ten sign-ins take most of a small machine's memory;
# this is OWASP's setting for argon2id: 19 MiB, two passes, one lane.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# Verified against when the login is unknown, so that the answer's time does not tell which logins exist.
_NOBODY = _HASHER.hash(secrets.token_urlsafe(16))

Purpose = Literal["api", "cti"]


class AccountError(VigieError):
    """An account cannot be made or changed: the text says why, `field` names what is at fault, where it is one thing."""

    def __init__(self, text: str, *, field: str = "") -> None:
        super().__init__(text)
        self.field = field


@dataclass(frozen=True, slots=True)
class Agent:
    """Somebody with an account."""

    id: int
    login: str
    name: str
    extension: str
    role: Role
    language: str
    active: bool
    floor: Floor = Floor.OWN

    def __post_init__(self) -> None:
        object.__setattr__(self, "role", Role(self.role))
        object.__setattr__(self, "floor", Floor(self.floor))


@dataclass(frozen=True, slots=True)
class Token:
    """A program's right of entry; the token itself was shown once and is not kept."""

    name: str
    purpose: Purpose
    role: Role
    floor: Floor
    created_at: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "role", Role(self.role))
        object.__setattr__(self, "floor", Floor(self.floor))


AGENT_COLUMNS = "id, login, name, extension, role, language, active, floor"


def digest(token: str) -> bytes:
    """What is stored of a random token: SHA-256 suffices, a 256-bit secret cannot be guessed."""
    return hashlib.sha256(token.encode()).digest()


def generate_password() -> str:
    """A password of 96 random bits, to be shown once."""
    return secrets.token_urlsafe(12)


def add_agent(
    conn: Connection,
    *,
    login: str,
    name: str,
    role: Role,
    password: str,
    extension: str = "",
    language: str = "fr",
    floor: Floor = Floor.OWN,
) -> Agent:
    """Make an account; `AccountError` where the login is taken or the password too short."""
    login = login.strip().lower()
    if not login or not name.strip():
        raise AccountError("a login and a name are needed", field="name")
    _check_password(password)
    with conn.cursor(row_factory=class_row(Agent)) as cursor:
        made = cursor.execute(
            "INSERT INTO hotline.agent (login, name, extension, role, language, floor, password_hash)"
            " VALUES (%(login)s, %(name)s, %(extension)s, %(role)s, %(language)s, %(floor)s, %(hash)s)"
            f" ON CONFLICT (login) DO NOTHING RETURNING {AGENT_COLUMNS}",
            {
                "login": login,
                "name": name.strip(),
                "extension": extension.strip(),
                "role": role,
                "language": language,
                "floor": floor,
                "hash": _HASHER.hash(password),
            },
        ).fetchone()
    if made is None:
        raise AccountError(f"the login {login} is taken: choose another, or use `vigie agent password`", field="login")
    return made


def agents(conn: Connection, *, active_only: bool = False) -> list[Agent]:
    """Every account, by login."""
    with conn.cursor(row_factory=class_row(Agent)) as cursor:
        where = "WHERE active" if active_only else ""
        return cursor.execute(f"SELECT {AGENT_COLUMNS} FROM hotline.agent {where} ORDER BY login").fetchall()


def find_agent(conn: Connection, *, agent_id: int) -> Agent | None:
    """One account by its id."""
    with conn.cursor(row_factory=class_row(Agent)) as cursor:
        return cursor.execute(f"SELECT {AGENT_COLUMNS} FROM hotline.agent WHERE id = %(id)s", {"id": agent_id}).fetchone()


def change_agent(conn: Connection, *, agent_id: int, name: str, extension: str, role: Role, floor: Floor) -> dict[str, str]:
    """Change what an account says of its person; returns what was changed, as `before → after` by field.

    Another role or floor ends the account's sessions: an open screen goes on showing what its old place was shown.

    Raises:
        AccountError: there is no such account, or no name.
    """
    if not name.strip():
        raise AccountError("a name is needed", field="name")
    # Locked, so that two administrators' changes are told apart.
    conn.execute("SELECT FROM hotline.agent WHERE id = %(id)s FOR UPDATE", {"id": agent_id})
    before = find_agent(conn, agent_id=agent_id)
    if before is None:
        raise AccountError(f"no account {agent_id}")
    after = {"name": name.strip(), "extension": extension.strip(), "role": role, "floor": floor}
    conn.execute(
        "UPDATE hotline.agent SET name = %(name)s, extension = %(extension)s, role = %(role)s, floor = %(floor)s WHERE id = %(id)s",
        {**after, "id": agent_id},
    )
    if (role, floor) != (before.role, before.floor):
        conn.execute("DELETE FROM hotline.session WHERE agent_id = %(id)s", {"id": agent_id})
    return {field: f"{getattr(before, field)} → {value}" for field, value in after.items() if getattr(before, field) != value}


def set_password(conn: Connection, *, login: str, password: str) -> None:
    """Change a password and end the account's sessions; `AccountError` where there is no such account."""
    _check_password(password)
    _change(conn, login=login, assignment="password_hash = %(value)s", value=_HASHER.hash(password))


def set_active(conn: Connection, *, login: str, active: bool) -> None:
    """Open or close an account and end its sessions; calls keep the name of a closed one."""
    _change(conn, login=login, assignment="active = %(value)s", value=active)


def set_language(conn: Connection, *, agent_id: int, language: str) -> None:
    """Remember the language an agent reads."""
    conn.execute("UPDATE hotline.agent SET language = %(language)s WHERE id = %(id)s", {"id": agent_id, "language": language})


def check_password(conn: Connection, *, login: str, password: str) -> Agent | None:
    """The active agent this login and password belong to; as slow for an unknown login as for a known one."""
    row = conn.execute(
        f"SELECT password_hash, {AGENT_COLUMNS} FROM hotline.agent WHERE login = %(login)s AND active",
        {"login": login.strip().lower()},
    ).fetchone()
    try:
        _HASHER.verify(row[0] if row else _NOBODY, password)
    except (VerifyMismatchError, InvalidHashError):
        return None
    return Agent(*row[1:]) if row else None


def add_token(conn: Connection, *, name: str, purpose: Purpose, role: Role, now: datetime, floor: Floor = Floor.OWN) -> str:
    """Make a token for a program and return it: the only time it can be seen."""
    token = secrets.token_urlsafe(32)
    made = conn.execute(
        "INSERT INTO hotline.token (digest, name, purpose, role, floor, created_at)"
        " VALUES (%(digest)s, %(name)s, %(purpose)s, %(role)s, %(floor)s, %(now)s) ON CONFLICT (name) DO NOTHING",
        {"digest": digest(token), "name": name, "purpose": purpose, "role": role, "floor": floor, "now": now},
    ).rowcount
    if not made:
        raise AccountError(f"there is a token named {name} already: choose another name, or remove it first")
    return token


def tokens(conn: Connection) -> list[Token]:
    """Every token, by name, without its secret."""
    with conn.cursor(row_factory=class_row(Token)) as cursor:
        return cursor.execute("SELECT name, purpose, role, floor, created_at FROM hotline.token ORDER BY name").fetchall()


def remove_token(conn: Connection, *, name: str) -> None:
    """Take a program's right of entry away; `AccountError` where there is no such token."""
    if conn.execute("DELETE FROM hotline.token WHERE name = %(name)s", {"name": name}).rowcount == 0:
        raise AccountError(f"no token named {name}")


def find_token(conn: Connection, *, token: str, purpose: Purpose) -> Token | None:
    """The token as it was made, if it is one of ours and made for this."""
    with conn.cursor(row_factory=class_row(Token)) as cursor:
        return cursor.execute(
            "SELECT name, purpose, role, floor, created_at FROM hotline.token WHERE digest = %(digest)s AND purpose = %(purpose)s",
            {"digest": digest(token), "purpose": purpose},
        ).fetchone()


def _check_password(password: str) -> None:
    if len(password) < SHORTEST_PASSWORD:
        raise AccountError(f"a password has at least {SHORTEST_PASSWORD} characters", field="password")


def _change(conn: Connection, *, login: str, assignment: str, value: object) -> None:
    found = conn.execute(
        f"UPDATE hotline.agent SET {assignment} WHERE login = %(login)s RETURNING id",
        {"login": login.strip().lower(), "value": value},
    ).fetchone()
    if found is None:
        raise AccountError(f"no account with the login {login}")
    conn.execute("DELETE FROM hotline.session WHERE agent_id = %(id)s", {"id": found[0]})
