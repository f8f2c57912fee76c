"""The embedded broker's accounts, written from the registry, with passwords for Vigie's own programs that stay the same."""

from collections.abc import Mapping
from dataclasses import dataclass

from fleet.broker_access import write_files
from fleet.database import Connection
from vigie.commands.registry import service_passwords
from vigie.engines.mosquitto import EmbeddedMosquitto

# The same file that `vigie registry broker-files` keeps beside the broker's.
SERVICE_PASSWORDS = "service-passwords.csv"


@dataclass(frozen=True)
class Accounts:
    """What the broker was told: the programs' passwords, how many terminals, and from which state of the registry."""

    passwords: Mapping[str, str]
    terminals: int
    registry: str


def write_accounts(conn: Connection, broker: EmbeddedMosquitto) -> Accounts:
    """Write the broker's files; a running one needs a `reload()` to notice."""
    passwords = service_passwords(broker.home / SERVICE_PASSWORDS)
    registry = registry_state(conn)
    return Accounts(passwords, write_files(conn, broker.home, passwords), registry)


def registry_state(conn: Connection) -> str:
    """Changes whenever a terminal or its password does."""
    row = conn.execute("SELECT count(*), coalesce(sum(hashtext(id || password_hash)), 0) FROM fleet.terminal").fetchone()
    return str(row)
