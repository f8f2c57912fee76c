"""The web program's settings."""

from typing import Self

from pydantic import Field, model_validator

from fleet.settings import ClockSettings, DatabaseSettings


class WebSettings(DatabaseSettings, ClockSettings):
    """What `vigie web` needs to know."""

    web_host: str = Field("127.0.0.1", description="Address the console and the REST API listen on.")
    web_port: int = Field(8080, ge=0, le=65535, description="Port of the console and the REST API; 0 takes a free one.")
    web_certificate_file: str = Field("", description="Certificate chain (PEM) to serve HTTPS directly; empty: HTTP.")
    web_key_file: str = Field("", description="Private key (PEM) of the certificate.")
    web_behind_tls: bool = Field(False, description="A proxy in front serves HTTPS: cookies are marked Secure, HSTS is sent.")
    session_hours: float = Field(10.0, gt=0, le=24 * 31, description="Hours without a click after which a session ends.")

    @property
    def secure(self) -> bool:
        """Whether browsers reach us by HTTPS."""
        return self.web_behind_tls or bool(self.web_certificate_file)

    @model_validator(mode="after")
    def _certificate_and_key_go_together(self) -> Self:
        if bool(self.web_certificate_file) != bool(self.web_key_file):
            raise ValueError("VIGIE_WEB_CERTIFICATE_FILE and VIGIE_WEB_KEY_FILE go together")
        return self
