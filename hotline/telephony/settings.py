"""The telephony program's settings."""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from fleet.settings import ClockSettings, DatabaseSettings, MetricsSettings
from hotline.settings import OpeningSettings
from hotline.telephony.address import read_address


def _ami_url(value: SecretStr) -> SecretStr:
    read_address(value.get_secret_value())
    return value


class TelephonySettings(DatabaseSettings, ClockSettings, MetricsSettings, OpeningSettings):
    """What `vigie telephony` needs to know."""

    ami_url: Annotated[SecretStr, AfterValidator(_ami_url)] = Field(
        description="Asterisk's manager interface, with Vigie's account: ami://user:secret@host:5038 (amis:// for TLS)."
    )
    ami_ca_file: str = Field("", description="Certificate authority that signed the exchange's certificate (TLS only).")
