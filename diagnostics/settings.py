"""Settings of `vigie watch`."""

from pydantic import Field

from fleet.settings import ClockSettings, DatabaseSettings, MetricsSettings, RetentionSettings


class WatchSettings(DatabaseSettings, ClockSettings, MetricsSettings, RetentionSettings):
    """What the watch reads and writes, and how often it judges."""

    watch_tick_s: float = Field(10.0, ge=0.2, le=30.0, description="Seconds between two judgements of the whole fleet.")
