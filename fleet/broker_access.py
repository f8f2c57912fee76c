"""Who may do what at the broker: one password per terminal and per program, and topic rules, as Mosquitto reads them.

The rules are data (`TERMINAL_RULES`, `SERVICE_RULES`); the files of Mosquitto are one rendering of them, and
`docs/mqtt.md` gives the same rules in EMQX's form. Mosquitto reads its files at start and on SIGHUP.

Terminals come by a listener that forces the client id to the user name, so that none can take over another's session.
Programs need client ids of their own (one per worker) and come by a second listener that no terminal can reach.
"""

import base64
import hashlib
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal

from psycopg.rows import scalar_row

from fleet.contract import DOWNWARD, UPWARD, Channel, incident_topic, topic
from fleet.database import Connection
from fleet.errors import VigieError

# The names under which `vigie.engines.mosquitto` looks for them.
PASSWORDS = "passwords"
ACL = "acl"

# A terminal's password is 128 random bits: guessing it is hopeless with or without stretching, and 16,000 terminals that
# reconnect at once must not keep the single-threaded broker busy hashing. A program's account may be given a password by
# a person, and there are few of them, so theirs are stretched.
PASSWORD_BYTES = 16
TERMINAL_ITERATIONS = 1
SERVICE_ITERATIONS = 20_000
# The sizes that mosquitto_passwd itself writes. Nine random bytes are written as twelve characters and these used as the
# salt: Mosquitto takes any bytes, while EMQX, which reads the same hashes (docs/mqtt.md), takes a salt only as text.
SALT_RANDOM_BYTES = 9
HASH_BYTES = 64
# Both end up in files whose lines and fields they must not break.
_FORBIDDEN_IN_NAMES = frozenset(" :#+/\r\n\t\0")


# Where a rule stands for the incidents' topics instead of a terminal's channel.
INCIDENT: Final = "incident"


class Access(StrEnum):
    """What a rule allows, in Mosquitto's words."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True)
class Rule:
    """One allowed use of one channel of terminals, or of the incidents' topics."""

    access: Access
    channel: Channel | Literal["incident"]

    def topic(self, terminal: str) -> str:
        """The topic it allows; `terminal` as in `contract.topic`, which incidents have none of."""
        return topic(terminal, self.channel) if isinstance(self.channel, Channel) else incident_topic("+")


# A terminal, under its own id only.
TERMINAL_RULES = (
    *(Rule(Access.WRITE, channel) for channel in UPWARD),
    *(Rule(Access.READ, channel) for channel in DOWNWARD),
)
# The programs, for every terminal, each no more than it needs; `vigie-reader` is for the IT department's own programs.
SERVICE_RULES: Mapping[str, tuple[Rule, ...]] = {
    "vigie-ingest": (*(Rule(Access.READ, channel) for channel in UPWARD), Rule(Access.WRITE, Channel.ACK)),
    "vigie-watch": (Rule(Access.WRITE, INCIDENT),),
    "vigie-rollout": (Rule(Access.WRITE, Channel.DESIRED),),
    "vigie-web": (Rule(Access.WRITE, Channel.CMD),),
    "vigie-reader": (Rule(Access.READ, INCIDENT),),
}


def new_password() -> str:
    """A password nobody can guess, of characters that survive any shell, file and URL."""
    return secrets.token_urlsafe(PASSWORD_BYTES)


def hash_password(password: str, *, salt: bytes, iterations: int) -> str:
    """The password in Mosquitto's `$7$` form: PBKDF2-HMAC-SHA512, salt and hash in base64."""
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations, HASH_BYTES)
    return f"$7${iterations}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def hash_terminal_password(password: str) -> str:
    """The stored form of a terminal's random password, with a fresh salt."""
    return hash_password(password, salt=_new_salt(), iterations=TERMINAL_ITERATIONS)


def hash_service_password(password: str) -> str:
    """The stored form of a program's password, with a fresh salt."""
    return hash_password(password, salt=_new_salt(), iterations=SERVICE_ITERATIONS)


def password_file(accounts: Iterable[tuple[str, str]]) -> str:
    """Mosquitto's password file.

    Args:
        accounts: user name and stored form (never a password itself).

    Raises:
        VigieError: a name or a stored form would break the file.
    """
    lines = []
    for name, stored in accounts:
        if not name or _FORBIDDEN_IN_NAMES & set(name):
            raise VigieError(f"not a user name the broker can hold: {name!r}")
        if not stored.startswith("$7$") or "\n" in stored:
            raise VigieError(f"the account {name} has no password in the broker's $7$ form")
        lines.append(f"{name}:{stored}\n")
    return "".join(lines)


def acl_file() -> str:
    """Mosquitto's topic rules; what no rule allows is refused."""
    lines = ["# Written by Vigie; what is not allowed here is refused."]
    for name, rules in SERVICE_RULES.items():
        lines += ["", f"user {name}", *(f"topic {rule.access} {rule.topic('+')}" for rule in rules)]
    # `%u` is the user name. A pattern holds for every user, also a program's: no terminal has a program's name.
    lines += ["", "# terminals", *(f"pattern {rule.access} {rule.topic('%u')}" for rule in TERMINAL_RULES)]
    return "\n".join(lines) + "\n"


def write_files(conn: Connection, folder: Path, service_passwords: Mapping[str, str]) -> int:
    """Write the broker's two files, each whole or not at all; returns the number of terminals' accounts.

    Args:
        conn: where the registry is.
        folder: where the broker reads; created if missing. The broker needs a SIGHUP to notice new files.
        service_passwords: the password of every account of `SERVICE_RULES`.

    Raises:
        VigieError: a program's account lacks its password, or one is named that does not exist.
    """
    if wrong := set(service_passwords) ^ set(SERVICE_RULES):
        raise VigieError(
            f"passwords are needed for exactly the accounts {', '.join(SERVICE_RULES)}; check {', '.join(sorted(wrong))}"
        )
    with conn.cursor() as cursor:
        cursor.execute("SELECT id, password_hash FROM fleet.terminal ORDER BY id")
        terminals = cursor.fetchall()
    folder.mkdir(parents=True, exist_ok=True)
    services = [(name, hash_service_password(password)) for name, password in service_passwords.items()]
    _replace(folder / ACL, acl_file())
    _replace(folder / PASSWORDS, password_file([*services, *terminals]))
    return len(terminals)


def rotate_passwords(conn: Connection, *, terminals: list[str] | None = None) -> dict[str, str]:
    """Give these terminals (None: all) new passwords; returns them, in the clear, for the one export there is.

    Raises:
        VigieError: one of them is not in the registry; nothing was changed.
    """
    with conn.cursor(row_factory=scalar_row) as cursor:
        known = set(cursor.execute("SELECT id FROM fleet.terminal").fetchall())
        chosen = sorted(known if terminals is None else set(terminals))
        if unknown := [terminal for terminal in chosen if terminal not in known]:
            raise VigieError(f"not in the registry: {', '.join(unknown[:10])}")
        passwords = {terminal: new_password() for terminal in chosen}
        cursor.execute(
            """
            UPDATE fleet.terminal SET password_hash = new.hash
            FROM unnest(%(ids)s::text[], %(hashes)s::text[]) AS new (id, hash)
            WHERE terminal.id = new.id
            """,
            {"ids": chosen, "hashes": [hash_terminal_password(password) for password in passwords.values()]},
        )
    return passwords


def _new_salt() -> bytes:
    return secrets.token_urlsafe(SALT_RANDOM_BYTES).encode()


def _replace(file: Path, text: str) -> None:
    """Put a file in place by a rename, so that the broker never reads half of one.

    It keeps the owner and permissions of the file it replaces (the broker may run as another user), else 0600.
    """
    before = file.stat() if file.exists() else None
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as content:
            content.write(text)
            content.flush()
            os.fsync(content.fileno())
        if before is not None:
            temporary.chmod(before.st_mode & 0o777)
            if os.geteuid() == 0:
                os.chown(temporary, before.st_uid, before.st_gid)
        temporary.rename(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
