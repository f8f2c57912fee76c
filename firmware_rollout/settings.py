"""Settings of `vigie rollout`, and of what it shares with the commands and programs that deal in releases."""

from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from fleet.settings import ClockSettings, DatabaseSettings, MetricsSettings, VigieSettings

SHORTEST_KEY: Final = 32


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


def _long_enough(value: SecretStr) -> SecretStr:
    if 0 < len(value.get_secret_value()) < SHORTEST_KEY:
        raise ValueError(f"must have {SHORTEST_KEY} characters or more: every device's token follows from it")
    return value


class DeviceKeySettings(VigieSettings):
    """What devices' tokens follow from."""

    device_key: Annotated[SecretStr, AfterValidator(_long_enough)] = Field(
        SecretStr(""), description="Secret that devices' tokens follow from, 32 characters or more; empty: no device API."
    )


class DeviceApiSettings(DeviceKeySettings, StoreSettings):
    """What devices are served by."""

    ddi_tenant: str = Field("vigie", pattern="^[A-Za-z0-9_-]{1,40}$", description="The tenant in the device API's addresses.")
    ddi_url: str = Field(
        "", pattern="^(https?://.+)?$", description="Where devices reach their API, https://host; empty: as each of them asks."
    )
    ddi_poll_s: int = Field(300, ge=1, lt=86_400, description="Seconds between two polls of a device.")


class DevicesSettings(DatabaseSettings, ClockSettings, MetricsSettings, DeviceApiSettings):
    """What `vigie devices` needs to know."""

    devices_host: str = Field("127.0.0.1", description="Address the device API alone listens on.")
    devices_port: int = Field(8081, ge=0, le=65535, description="Its port; 0 takes a free one.")
    devices_certificate_file: str = Field("", description="Certificate chain (PEM) to serve HTTPS directly; empty: HTTP.")
    devices_key_file: str = Field("", description="Private key (PEM) of that certificate.")

    @model_validator(mode="after")
    def _certificate_and_key_go_together(self) -> Self:
        if bool(self.devices_certificate_file) != bool(self.devices_key_file):
            raise ValueError("VIGIE_DEVICES_CERTIFICATE_FILE and VIGIE_DEVICES_KEY_FILE go together")
        return self


class ReleaseSettings(StoreSettings, OnlineKeysSettings):
    """What `vigie release` needs besides the database."""


class RolloutSettings(DatabaseSettings, ClockSettings, MetricsSettings, OnlineKeysSettings):
    """What the rollout reads and writes, and how often it plans."""

    rollout_step_s: float = Field(10.0, ge=0.2, le=300.0, description="Seconds between two plannings of every campaign.")
