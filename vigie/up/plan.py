"""What `vigie up` runs: pure functions from options to programs with their settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")
DAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
# The programs in starting order; each but the last (which answers on its own port) shows metrics on a port of its own.
PROGRAMS = ("ingest", "watch", "rollout", "web")
# Runs besides them where there is an exchange to listen to.
TELEPHONY = "telephony"
ACCOUNTS: Mapping[str, str] = {
    "ingest": "vigie-ingest",
    "watch": "vigie-watch",
    "rollout": "vigie-rollout",
    "web": "vigie-web",
}


def mqtt_setting(program: str) -> str:
    """The setting that names a program's broker.

    For the watch it is one of several places where incidents are told; the console needs it for orders to terminals alone.
    """
    return {"watch": "VIGIE_NOTICE_MQTT_URL", "web": "VIGIE_COMMAND_MQTT_URL"}.get(program, "VIGIE_MQTT_URL")


@dataclass(frozen=True)
class Ports:
    """Where everything answers; fixed for an operator, free ones for tests and demonstrations."""

    database: int = 5433
    terminals: int = 1883
    services: int = 1884
    web: int = 8080
    metrics: Mapping[str, int] = field(default_factory=lambda: {"ingest": 9101, "watch": 9102, "rollout": 9103, TELEPHONY: 9104})


@dataclass(frozen=True)
class Program:
    """One program to run: its name, its arguments after `vigie`, its settings, and the port and host that tell it is ready."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    ready: tuple[int, str] | None = None


def firmware_places(home: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Where releases' files and Vigie's signing keys are: what the environment says, else folders of this house."""
    own = {"VIGIE_RELEASE_STORE": home / "firmware", "VIGIE_RELEASE_KEYS": home / "release-keys"}
    return {name: environment.get(name) or str(folder) for name, folder in own.items()}


def programs(
    *,
    database_url: str,
    mqtt_urls: Mapping[str, str],
    ports: Ports,
    listen: str,
    clock_offset_s: int,
    exchange: bool = False,
    firmware: Mapping[str, str] | None = None,
    device_key: str = "",
    device_poll_s: int = 0,
) -> tuple[Program, ...]:
    """The programs of the house, in starting order.

    Args:
        database_url: for all of them.
        mqtt_urls: for each program that speaks MQTT, the broker with its own account.
        ports: where they answer.
        listen: address the console is served on.
        clock_offset_s: seconds every program's clock runs ahead of the machine's.
        exchange: whether settings, which programs inherit, name a telephone exchange to listen to.
        firmware: the settings that say where releases' files and keys are.
        device_key: what devices' tokens follow from; only who serves devices gets it.
        device_poll_s: how often devices poll; 0: as the settings, which programs inherit, say.
    """
    planned = []
    for name in (*PROGRAMS, TELEPHONY) if exchange else PROGRAMS:
        port = ports.web if name == "web" else ports.metrics[name]
        environment = {"VIGIE_DATABASE_URL": database_url, "VIGIE_CLOCK_OFFSET_S": str(clock_offset_s), **(firmware or {})}
        if name in mqtt_urls:
            environment[mqtt_setting(name)] = mqtt_urls[name]
        if name == "web":
            environment |= {"VIGIE_WEB_PORT": str(port), "VIGIE_WEB_HOST": listen, "VIGIE_DEVICE_KEY": device_key}
            if device_poll_s:
                environment["VIGIE_DDI_POLL_S"] = str(device_poll_s)
        else:
            environment["VIGIE_METRICS_PORT"] = str(port)
        planned.append(Program(name, (name,), environment, ready=(port, listen if name == "web" else "127.0.0.1")))
    return tuple(planned)


def clock_offset_s(clock: str, now: datetime) -> int:
    """Seconds from now to a time of day in Paris: `14:00` today (negative when it has passed), or `Th 14:00` on the next Thursday.

    Raises:
        ValueError: it is neither.
    """
    day, _, wanted = clock.rpartition(" ")
    today = now.astimezone(PARIS).date()
    days = (DAYS.index(day) - today.weekday()) % 7 if day else 0
    then = _in_paris(today + timedelta(days=days), wanted)
    if day and then < now:
        then = _in_paris(today + timedelta(days=days + 7), wanted)
    # In UTC, because subtracting local times of one zone ignores a change of the clocks between them.
    return round((then.astimezone(UTC) - now).total_seconds())


def _in_paris(day: date, wanted: str) -> datetime:
    return datetime.combine(day, time.fromisoformat(wanted), PARIS)
