"""What the simulator needs to know of the house: addresses only, as a real terminal and a real telephone system would."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class SimulateSettings(BaseSettings):
    """`vigie simulate`."""

    model_config = SettingsConfigDict(env_prefix="VIGIE_", frozen=True, extra="ignore")

    clock_offset_s: int = Field(0, description="Seconds added to the machine's clock by every program (demonstrations).")
    simulate_mqtt_url: str = Field(
        "mqtt://127.0.0.1:1883", description="The terminals' door of the broker, without an account (mqtts:// for TLS)."
    )
    simulate_mqtt_ca_file: str = Field("", description="Certificate authority that signed the broker's certificate (TLS only).")
    simulate_passwords: Path = Field(Path("passwords.csv"), description="CSV `terminal,password` that the registry's import wrote.")
    simulate_cti_url: SecretStr = Field(
        SecretStr(""), description="The call hook with its token, http://…/api/v1/cti/TOKEN; empty: nobody rings."
    )
    simulate_api_url: str = Field(
        "", description="The house's address, for agents' notes and qualifications by REST; empty: none are written."
    )
    simulate_api_token: SecretStr = Field(SecretStr(""), description="Token of the REST API that may handle calls.")
    simulate_ddi_url: str = Field(
        "", description="The device API, https://host/tenant/controller/v1; empty: terminals don't update themselves."
    )
    simulate_ddi_ca_file: str = Field(
        "", description="Certificate authority that signed the device API's certificate (HTTPS only)."
    )
    simulate_tokens: Path = Field(Path("tokens.csv"), description="CSV `terminal,token` of `vigie device tokens`.")
    simulate_maker_root: Path = Field(Path("root.json"), description="The maker's first root, which terminals have built in.")
    simulate_agents: int = Field(30, ge=0, description="Simulated agents who answer calls; 0: every call waits for a person.")
    simulate_staff: str = Field(
        "",
        description="Agents of the console who take part, comma-separated: login or extension, `@overflow` or `@niveau2` behind"
        " it for a queue that is not `hotline`.",
    )
    simulate_resend_s: int = Field(
        30, ge=2, le=600, description="A terminal sends again what is not acknowledged after this long, or twice this long at most."
    )
    simulate_truth: Path = Field(Path("truth.jsonl"), description="Where the truth of what was played is written.")
