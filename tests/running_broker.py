"""What the `broker` fixture hands to a test: a real Mosquitto, and passwords for its accounts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from psycopg import Connection

from fleet.broker_access import (
    SERVICE_RULES,
    acl_file,
    hash_service_password,
    hash_terminal_password,
    new_password,
    password_file,
    write_files,
)
from vigie.engines.mosquitto import EmbeddedMosquitto


@dataclass
class Broker:
    """A broker with accounts: `url("vigie-ingest")` for a program, host, port and password for a terminal."""

    mosquitto: EmbeddedMosquitto
    service_passwords: Mapping[str, str] = field(default_factory=lambda: {name: new_password() for name in SERVICE_RULES})
    terminal_passwords: dict[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """Where terminals connect."""
        return self.mosquitto.terminals.host

    @property
    def port(self) -> int:
        """The terminals' door."""
        return self.mosquitto.terminals.port

    @property
    def services_port(self) -> int:
        """The programs' door."""
        return self.mosquitto.services.port

    def url(self, service: str) -> str:
        """VIGIE_MQTT_URL for one of Vigie's programs."""
        return self.mosquitto.url(service, self.service_passwords[service])

    def set_terminals(self, terminals: Iterable[str]) -> None:
        """Give these terminals passwords, without a database; a running broker learns them at once."""
        self.terminal_passwords = {terminal: new_password() for terminal in terminals}
        accounts = [(name, hash_service_password(password)) for name, password in self.service_passwords.items()]
        accounts += [(name, hash_terminal_password(password)) for name, password in self.terminal_passwords.items()]
        self.mosquitto.passwords.write_text(password_file(accounts))
        self.mosquitto.acl.write_text(acl_file())
        self.mosquitto.reload()

    def read_registry(self, conn: Connection, terminal_passwords: Mapping[str, str]) -> None:
        """Take the accounts of the registry instead; the test brings the passwords its import returned."""
        self.terminal_passwords = dict(terminal_passwords)
        write_files(conn, self.mosquitto.home, self.service_passwords)
        self.mosquitto.reload()
