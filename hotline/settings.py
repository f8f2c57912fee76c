"""The web program's settings."""

from datetime import time
from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

from firmware_rollout.settings import DeviceApiSettings
from fleet.settings import ClockSettings, DatabaseSettings, VigieSettings, optional_mqtt_url
from hotline.opening import OPENS, USUAL_END


class OpeningSettings(VigieSettings):
    """When the hotline is open, as far as the race calendar does not tell."""

    usual_end: time = Field(
        USUAL_END,
        description="When the hotline closes on days that the race calendar does not name; before 07:00: the next morning.",
    )

    @field_validator("usual_end")
    @classmethod
    def _is_no_opening(cls, value: time) -> time:
        if value == OPENS:
            raise ValueError("the hotline opens then")
        return value


class FiguresSettings(OpeningSettings):
    """By which rules the hotline's figures are counted."""

    answer_within_s: float = Field(60.0, gt=0, description="Seconds within which a call should be answered.")
    short_abandon_s: float = Field(
        5.0, ge=0, description="Calls given up earlier than this many seconds are not counted; 0: all are."
    )
    wrap_up_s: float = Field(60.0, ge=0, description="Longest work after a call, in seconds; qualifying the call ends it.")


class RetentionOfCalls(VigieSettings):
    """How long what a call says of people is kept."""

    # Calls again within 7 days are counted by shop and by number.
    keep_numbers_days: int = Field(90, ge=8, description="Days shopkeepers' numbers are kept with their calls and callbacks.")
    keep_notes_days: int = Field(400, ge=8, description="Days what agents wrote of calls is kept.")
    keep_attendance_days: int = Field(400, ge=8, description="Days it is kept when each agent's console was open.")
    # The database refuses to delete younger rows.
    keep_audit_days: int = Field(400, ge=181, description="Days the audit of who saw and changed what is kept.")


class WebSettings(DatabaseSettings, ClockSettings, FiguresSettings, RetentionOfCalls, DeviceApiSettings):
    """What `vigie web` needs to know."""

    web_host: str = Field("127.0.0.1", description="Address the console and the REST API listen on.")
    web_port: int = Field(8080, ge=0, le=65535, description="Port of the console and the REST API; 0 takes a free one.")
    web_certificate_file: str = Field("", description="Certificate chain (PEM) to serve HTTPS directly; empty: HTTP.")
    web_key_file: str = Field("", description="Private key (PEM) of the certificate.")
    web_behind_tls: bool = Field(False, description="A proxy in front serves HTTPS: cookies are marked Secure, HSTS is sent.")
    session_hours: float = Field(10.0, gt=0, le=24 * 31, description="Hours without a click after which a session ends.")
    session_longest_hours: float = Field(24.0, gt=0, le=24 * 31, description="Hours after which a session ends, used or not.")
    cti_events_per_s: float = Field(
        100.0, gt=0, description="Events a second the call hook takes from one address; ten times as many at once."
    )
    command_mqtt_url: Annotated[SecretStr, AfterValidator(optional_mqtt_url)] = Field(
        SecretStr(""),
        description="Broker by which terminals get orders, with the console's account: mqtt://…; empty: none can be given.",
    )
    command_mqtt_ca_file: str = Field("", description="Certificate authority that signed that broker's certificate.")

    @property
    def gives_commands(self) -> bool:
        """Whether terminals can be given orders."""
        return bool(self.command_mqtt_url.get_secret_value())

    @property
    def serves_devices(self) -> bool:
        """Whether the device API is served beside the console."""
        return bool(self.device_key.get_secret_value())

    @property
    def secure(self) -> bool:
        """Whether browsers reach us by HTTPS."""
        return self.web_behind_tls or bool(self.web_certificate_file)

    @model_validator(mode="after")
    def _certificate_and_key_go_together(self) -> Self:
        if bool(self.web_certificate_file) != bool(self.web_key_file):
            raise ValueError("VIGIE_WEB_CERTIFICATE_FILE and VIGIE_WEB_KEY_FILE go together")
        return self
