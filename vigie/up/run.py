"""What `vigie up` does with a house, from its start to its end."""

import os
from datetime import UTC, datetime

from fleet.clock import system_clock
from fleet.errors import VigieError
from fleet.settings import DatabaseSettings, MqttSettings, read
from vigie.engines.layout import EngineSettings
from vigie.up.figures import FigureReader
from vigie.up.house import House, Options
from vigie.up.plan import clock_offset_s
from vigie.up.screen import make_screen
from vigie.up.supervisor import StopRequestedError


def run(options: Options, *, minutes: float) -> None:
    """Bring the house up and keep it up: until the end is asked for, or for so many minutes."""
    with House(options, read(EngineSettings), make_screen()) as house:
        try:
            house.start_database()
            house.start_broker()
            house.start_programs()
            house.supervisor.checkpoint()
        except StopRequestedError:
            return
        house.facts += [
            f"console      {house.console_url}",
            f"terminals    {house.terminals_url}",
            f"logs, data   {house.home}",
        ]
        figures = FigureReader(house.database_url, system_clock(options.clock_offset_s))
        house.watch(timeout_s=minutes * 60 if minutes else None, figures=figures.line)
        figures.close()


def offset_to(clock: str) -> int:
    """The offset that makes it that time in Paris now; without a clock, the one that VIGIE_CLOCK_OFFSET_S sets.

    Raises:
        VigieError: it is none.
    """
    if not clock:
        from fleet.settings import ClockSettings

        return read(ClockSettings).clock_offset_s
    try:
        return clock_offset_s(clock, datetime.now(UTC))
    except ValueError:
        raise VigieError(f"--clock {clock}: write it as 14:00, or as `Th 14:00` for the next Thursday") from None


def has_exchange() -> bool:
    """Whether settings name a telephone exchange; the program that listens to it reads them itself."""
    return bool(os.environ.get("VIGIE_AMI_URL"))


def external_engines() -> tuple[str, str]:
    """The existing database and broker that settings name; empty where the embedded ones serve."""
    database = read(DatabaseSettings).database_url.get_secret_value() if "VIGIE_DATABASE_URL" in os.environ else ""
    broker = read(MqttSettings).mqtt_url.get_secret_value() if "VIGIE_MQTT_URL" in os.environ else ""
    return database, broker
