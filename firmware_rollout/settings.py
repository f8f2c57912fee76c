"""Settings of `vigie rollout`."""

from pydantic import Field

from fleet.settings import ClockSettings, DatabaseSettings, MetricsSettings


class RolloutSettings(DatabaseSettings, ClockSettings, MetricsSettings):
    """What the rollout reads and writes, and how often it plans."""

    rollout_step_s: float = Field(10.0, ge=0.2, le=300.0, description="Seconds between two plannings of every campaign.")
