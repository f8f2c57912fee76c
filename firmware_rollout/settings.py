"""Settings of `vigie rollout`, and of what it shares with the commands and programs that deal in releases."""

from pydantic import Field, SecretStr

from fleet.settings import ClockSettings, DatabaseSettings, MetricsSettings, VigieSettings


class StoreSettings(VigieSettings):
    """Where the files of releases are kept."""

    release_store: str = Field("", description="Where releases' files are kept: a folder, or s3://bucket/prefix.")
    s3_endpoint: str = Field("", description="Address of the S3-like store, https://host:port; the bucket is part of the path.")
    s3_region: str = Field("us-east-1", description="Its region; many stores don't care.")
    s3_key_id: str = Field("", description="Access key id of Vigie's account there.")
    s3_secret: SecretStr = Field(SecretStr(""), description="Secret access key of that account.")


class OnlineKeysSettings(VigieSettings):
    """Where Vigie's own signing keys are."""

    release_keys: str = Field(
        "", description="Folder of Vigie's own signing keys, `online` of `vigie release keys`; empty: nothing is signed here."
    )


class ReleaseSettings(StoreSettings, OnlineKeysSettings):
    """What `vigie release` needs besides the database."""


class RolloutSettings(DatabaseSettings, ClockSettings, MetricsSettings, OnlineKeysSettings):
    """What the rollout reads and writes, and how often it plans."""

    rollout_step_s: float = Field(10.0, ge=0.2, le=300.0, description="Seconds between two plannings of every campaign.")
