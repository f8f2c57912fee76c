"""Settings shared by several programs, one small class per concern; each program's own class combines them.

Only a program's entry point reads them; a wrong value stops the start and names its variable.
"""

from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from fleet.errors import VigieError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Settings = TypeVar("Settings", bound=BaseSettings)


def _postgres_url(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().startswith(("postgresql://", "postgres://")):
        raise ValueError("must look like postgresql://user:password@host:5432/database")
    return value


def _mqtt_url(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().startswith(("mqtt://", "mqtts://")):
        raise ValueError("must look like mqtt://user:password@host:1883, or mqtts://… for TLS")
    return value


def optional_mqtt_url(value: SecretStr) -> SecretStr:
    """A broker's URL, or an empty one."""
    return _mqtt_url(value) if value.get_secret_value() else value


class VigieSettings(BaseSettings):
    """Frozen, prefix `VIGIE_`; subclasses add fields."""

    model_config = SettingsConfigDict(env_prefix="VIGIE_", frozen=True, extra="ignore")


class ClockSettings(VigieSettings):
    """Where the program's clock stands."""

    clock_offset_s: int = Field(0, description="Seconds added to the machine's clock by every program (demonstrations).")


class DatabaseSettings(VigieSettings):
    """Which PostgreSQL with TimescaleDB to use."""

    database_url: Annotated[SecretStr, AfterValidator(_postgres_url)] = Field(
        description="PostgreSQL with TimescaleDB: postgresql://user:password@host:5432/database."
    )


class MqttSettings(VigieSettings):
    """Which broker to use, as which account."""

    mqtt_url: Annotated[SecretStr, AfterValidator(_mqtt_url)] = Field(
        description="The broker, with this program's account: mqtt://user:password@host:1883 (mqtts:// for TLS)."
    )
    mqtt_ca_file: str = Field("", description="Certificate authority that signed the broker's certificate (TLS only).")


class MetricsSettings(VigieSettings):
    """Where Prometheus finds the program's metrics."""

    metrics_port: int = Field(0, ge=0, le=65535, description="Port of the metrics endpoint on 127.0.0.1; 0 turns it off.")


class RetentionSettings(VigieSettings):
    """How long time series are kept."""

    keep_samples_days: int = Field(30, ge=8, description="Days samples, events and signals are kept.")
    keep_rollup_days: int = Field(400, ge=8, description="Days the 5-minute roll-up is kept.")


def read(kind: type[Settings], **overrides: Any) -> Settings:
    """Read settings from the environment; `VigieError` names each wrong variable and why.

    For entry points only.
    """
    try:
        return kind(**overrides)
    except ValidationError as error:
        raise VigieError("settings: " + "; ".join(map(_line, error.errors()))) from None


def _line(problem: "ErrorDetails") -> str:
    """One problem in one line; one of several settings together names them in its own words."""
    words = problem["msg"].removeprefix("Value error, ")
    return f"VIGIE_{'_'.join(map(str, problem['loc'])).upper()}: {words}" if problem["loc"] else words
