"""Settings of `vigie ingest`."""

from pydantic import Field

from fleet.settings import ClockSettings, DatabaseSettings, MetricsSettings, MqttSettings, RetentionSettings


class IngestSettings(DatabaseSettings, MqttSettings, ClockSettings, MetricsSettings, RetentionSettings):
    """From MQTT to the database: which broker and database, how large a batch, how often terminals are told."""

    ingest_client_id: str = Field(
        "vigie-ingest",
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="MQTT client id, fixed so that the broker keeps this worker's place; each worker needs its own.",
    )
    ingest_share_group: str = Field(
        "", pattern=r"^[A-Za-z0-9_-]*$", description="Shared subscription group of several workers; empty: the only worker."
    )
    ingest_batch: int = Field(5_000, ge=1, le=50_000, description="Most messages in one transaction.")
    ingest_linger_ms: int = Field(200, ge=0, le=2_000, description="How long a batch waits for more messages.")
    ingest_receive_maximum: int = Field(
        40_000, ge=1, le=65_535, description="Most messages received and not yet acknowledged; at least the batch."
    )
    ingest_ack_interval_s: float = Field(
        2.5, ge=0, le=60, description="How long acknowledgements to terminals are gathered before they are sent."
    )
