"""An embedded Mosquitto: one broker with a door for terminals and a door for Vigie's own programs.

    broker = EmbeddedMosquitto(layout, home, terminals=Door(port=1883), services=Door(port=1884))
    fleet.broker_access.write_files(conn, broker.home, service_passwords)
    broker.start(); …; broker.reload(); …; broker.stop()

Nobody is anonymous at either door. At the terminals' door the user name is the client id, so that one terminal cannot
take over another's session; the services' door serves this machine only.
"""

import contextlib
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from fleet.broker_access import ACL, PASSWORDS
from fleet.errors import VigieError
from vigie.engines.certificates import Certificates
from vigie.engines.layout import EngineSettings, Layout, RunAs, engine_user, give, make_folder
from vigie.engines.process import EngineError, free_port, insist_free, port_answers, spawn, tail, wait_until

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 30.0
# A telemetry message of 500 samples is some 180 KB. A larger packet is refused before memory is found for it; the
# margin over 1 MiB is its header, topic and properties.
LARGEST_PACKET = 1_048_576 + 65_536
# What may wait for a worker that is away: over half an hour of the whole fleet. Beyond it the broker drops, and
# terminals send again what was never acknowledged to them.
LARGEST_QUEUE = 512 * 1024 * 1024
AUTOSAVE_S = 30


@dataclass(frozen=True)
class Door:
    """One listener of the broker; TLS with certificates, plain without."""

    port: int
    host: str = "127.0.0.1"
    tls: Certificates | None = None


class EmbeddedMosquitto:
    """A Mosquitto that this process runs."""

    def __init__(self, layout: Layout, home: Path, terminals: Door | None = None, services: Door | None = None) -> None:
        self._program = layout.mosquitto
        self.home = home
        self._process: subprocess.Popen[bytes] | None = None
        self.terminals = terminals or Door(free_port())
        self.services = services or Door(free_port())
        make_folder(home)
        self.passwords = home / PASSWORDS
        self.acl = home / ACL

    @property
    def log(self) -> Path:
        """The file its output goes to."""
        return self.home / "mosquitto.log"

    @property
    def pid(self) -> int | None:
        """The broker's process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def url(self, user: str, password: str) -> str:
        """The address of the services' door for one of Vigie's own accounts."""
        return f"mqtt://{user}:{password}@{self.services.host}:{self.services.port}"

    def start(self, *, daemon: bool = False) -> None:
        """Start the broker and wait until both doors are open.

        With `daemon` it outlives this process; otherwise it stops when this process ends, however it ends.

        Raises:
            VigieError: there are no accounts yet.
            EngineError: it did not start; the text ends with its log's last lines.
        """
        if self.alive():
            return
        for door in (self.terminals, self.services):
            insist_free(door.port, door.host)
        user = self._hand_over_accounts()
        data = make_folder(self.home / "data", user, mode=0o700)
        tls = self._hand_over_certificates(user)
        settings = self.home / "mosquitto.conf"
        settings.write_text(configuration(self, data, tls, user))
        give(settings, user, mode=0o600)
        self._process = spawn(
            [self._program, "-c", settings],
            log=self.log,
            user=user,
            death_signal=None if daemon else signal.SIGTERM,
            cwd=self.home,
        )
        if not self._wait():
            self.stop()
            raise EngineError(f"Mosquitto did not start on ports {self.terminals.port} and {self.services.port}: {tail(self.log)}")

    def reload(self) -> None:
        """Make the running broker read changed passwords and rules; connected terminals stay."""
        self._hand_over_accounts()
        if self._process is not None and self.pid is not None:
            self._process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """Save sessions and retained messages and stop; stopping a stopped broker is fine."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_TIMEOUT_S)
        self._process = None

    def alive(self) -> bool:
        """Whether the broker's process runs."""
        return self.pid is not None

    def _wait(self) -> bool:
        """Wait until both doors are open, but no longer than the broker lives."""
        wait_until(lambda: self._open() or not self.alive(), timeout_s=START_TIMEOUT_S)
        return self.alive() and self._open()

    def _open(self) -> bool:
        return all(port_answers(door.port, door.host) for door in (self.terminals, self.services))

    def _hand_over_accounts(self) -> RunAs:
        if not self.passwords.exists() or not self.acl.exists():
            raise VigieError(f"the broker has no accounts: {self.passwords} and {self.acl} must be written first")
        user = engine_user(self.home / "data")
        for file in (self.passwords, self.acl):
            give(file, user, mode=0o600)
        return user

    def _hand_over_certificates(self, user: RunAs) -> Certificates | None:
        # The key may stand where the broker's user cannot go: it gets copies of its own.
        if self.terminals.tls is None:
            return None
        folder = make_folder(self.home / "tls", user, mode=0o700)
        own = Certificates(folder / "server.pem", folder / "server.key")
        given = self.terminals.tls
        for source, target in ((given.certificate, own.certificate), (given.key, own.key)):
            target.touch(mode=0o600)
            target.write_bytes(source.read_bytes())
            give(target, user, mode=0o600)
        return own


def terminals_tls(settings: EngineSettings) -> Certificates | None:
    """The certificate that the terminals' door shows, where settings name one."""
    certificate, key = settings.terminals_certificate_file, settings.terminals_key_file
    return None if certificate is None or key is None else Certificates(certificate, key)


def configuration(broker: EmbeddedMosquitto, data: Path, tls: Certificates | None, user: RunAs) -> str:
    """The broker's settings file."""
    door = broker.terminals
    secure = f"certfile {tls.certificate}\nkeyfile {tls.key}\ntls_version tlsv1.2\n" if tls else ""
    # Started as root, Mosquitto would look for a user of its own; ours has been changed already.
    return f"""# Written at each start by Vigie.
allow_anonymous false
password_file {broker.passwords}
acl_file {broker.acl}
user {user.name}

# Durable sessions: what arrives while a worker restarts waits here.
persistence true
persistence_location {data}/
autosave_interval {AUTOSAVE_S}
persistent_client_expiration 7d

# The workers bound what they take by their receive maximum, so the broker need not.
max_inflight_messages 0
max_queued_messages 0
max_queued_bytes {LARGEST_QUEUE}
max_packet_size {LARGEST_PACKET}
set_tcp_nodelay true
max_keepalive 3600

log_dest stderr
log_type error
log_type warning
log_type notice
connection_messages false
log_timestamp_format %Y-%m-%dT%H:%M:%S

# Terminals
listener {door.port} {door.host}
use_username_as_clientid true
{secure}
# Vigie's own programs
listener {broker.services.port} {broker.services.host}
"""
