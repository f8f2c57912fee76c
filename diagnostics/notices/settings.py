"""Settings of the channels: each is off unless its address is set."""

from collections.abc import Callable, Mapping
from email.errors import MessageError
from email.headerregistry import Address
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from diagnostics.notices import mail, retained, webhook
from diagnostics.notices.policy import Channel
from diagnostics.notices.sending import Sender
from fleet.settings import VigieSettings, optional_mqtt_url


def _urls(value: SecretStr) -> SecretStr:
    for url in _split(value.get_secret_value()):
        if not url.startswith(("https://", "http://")):
            raise ValueError("must be URLs, https://…, separated by blanks")
    return value


def _smtp(value: SecretStr) -> SecretStr:
    if value.get_secret_value():
        mail.server_of(value.get_secret_value())
    return value


def _addresses(value: str) -> str:
    for address in _split(value):
        try:
            Address(addr_spec=address)
        except (ValueError, IndexError, MessageError):
            raise ValueError(f"{address} is no address of the form name@domain") from None
    return value


def _file(value: str) -> str:
    if value and not Path(value).is_file():
        raise ValueError(f"{value} is not a file")
    return value


Addresses = Annotated[str, AfterValidator(_addresses)]
CaFile = Annotated[str, AfterValidator(_file)]


class NoticeSettings(VigieSettings):
    """Where the IT department is told of incidents."""

    notice_webhook_urls: Annotated[SecretStr, AfterValidator(_urls)] = Field(
        SecretStr(""), description="Webhook receivers, https://… separated by blanks; empty: none."
    )
    notice_webhook_secret: SecretStr = Field(
        SecretStr(""), description="Secret that signs what webhooks get, 16 characters or more."
    )
    notice_webhook_minimum: int = Field(0, ge=0, description="Incidents that never had so many terminals are not told to webhooks.")
    notice_smtp_url: Annotated[SecretStr, AfterValidator(_smtp)] = Field(
        SecretStr(""),
        description="Mail server: smtp://user:password@host:587 (STARTTLS), smtps://… (TLS), smtp+plain://… (none); empty: off.",
    )
    notice_smtp_ca_file: CaFile = Field("", description="Certificate authority that signed the mail server's certificate.")
    notice_mail_from: Addresses = Field("", description="Sender of mail.")
    notice_mail_to: Addresses = Field("", description="Recipients of mail, separated by blanks.")
    notice_mail_language: Literal["fr", "en"] = Field("fr", description="Language of mail, `fr` or `en`.")
    notice_mail_minimum: int = Field(0, ge=0, description="Incidents that never had so many terminals are not told by mail.")
    notice_mqtt_url: Annotated[SecretStr, AfterValidator(optional_mqtt_url)] = Field(
        SecretStr(""),
        description="Broker that retains the state of each incident, with the watch's account: mqtt://…; empty: none.",
    )
    notice_mqtt_ca_file: CaFile = Field("", description="Certificate authority that signed that broker's certificate.")
    notice_console_url: str = Field(
        "", description="Where the console is reached, https://…, for links in notices; empty: no links."
    )
    notice_most_attempts: int = Field(100, ge=1, description="Attempts after which a notice is given up.")
    notice_give_up_hours: float = Field(24.0, gt=0, description="Hours after which a notice that did not arrive is given up.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.webhook_urls and len(self.notice_webhook_secret.get_secret_value()) < 16:
            raise ValueError("VIGIE_NOTICE_WEBHOOK_SECRET: webhooks need one of 16 characters or more")
        if self.notice_smtp_url.get_secret_value() and not (len(_split(self.notice_mail_from)) == 1 and self.mail_to):
            raise ValueError("VIGIE_NOTICE_MAIL_FROM and VIGIE_NOTICE_MAIL_TO: mail needs a sender and recipients")
        return self

    @property
    def webhook_urls(self) -> list[str]:
        """The webhooks' URLs, each once."""
        return _split(self.notice_webhook_urls.get_secret_value())

    @property
    def mail_to(self) -> list[str]:
        """The recipients, each once."""
        return _split(self.notice_mail_to)


def channels_of(settings: NoticeSettings) -> Mapping[Channel, Callable[[], Sender]]:
    """The channels that are set, and what makes the sender of each."""
    found: dict[Channel, Callable[[], Sender]] = {}
    secret = settings.notice_webhook_secret.get_secret_value()
    for url in settings.webhook_urls:
        found[Channel(webhook.channel_name(url), "webhook", settings.notice_webhook_minimum)] = _webhook(url, secret)
    if smtp := settings.notice_smtp_url.get_secret_value():
        found[Channel(mail.CHANNEL, "mail", settings.notice_mail_minimum)] = lambda: mail.Mail(
            smtp,
            sender=settings.notice_mail_from,
            recipients=settings.mail_to,
            language=settings.notice_mail_language,
            ca_file=settings.notice_smtp_ca_file,
        )
    if broker := settings.notice_mqtt_url.get_secret_value():
        found[Channel(retained.CHANNEL, "mqtt")] = lambda: retained.Retained(broker, ca_file=settings.notice_mqtt_ca_file)
    return found


def _webhook(url: str, secret: str) -> Callable[[], Sender]:
    return lambda: webhook.Webhook(url, secret)


def _split(text: str) -> list[str]:
    return list(dict.fromkeys(text.replace(",", " ").split()))
