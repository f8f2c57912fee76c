"""Settings of `vigie watch`."""

from pydantic import Field

from diagnostics.notices.settings import NoticeSettings
from fleet.settings import ClockSettings, DatabaseSettings, MetricsSettings, RetentionSettings


class WatchSettings(DatabaseSettings, ClockSettings, MetricsSettings, RetentionSettings, NoticeSettings):
    """What the watch reads and writes, and how often it judges."""

    watch_tick_s: float = Field(10.0, ge=0.2, le=30.0, description="Seconds between two judgements of the whole fleet.")
    watch_catch_up_hours: float = Field(
        24.0, ge=0, le=7 * 24, description="An outage of the watch up to so long is caught up; after a longer one it begins anew."
    )
