"""E-mail by SMTP: one incident is one thread, its first notice being the thread's first mail."""

import smtplib
import ssl
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from diagnostics.notices.mail_text import html, plain, subject
from diagnostics.notices.queue import ATTEMPT_TIMEOUT_S
from diagnostics.notices.sending import Failed, Outcome, Parcel, Refused, Sent
from diagnostics.notices.webhook import ID_HEADER

CHANNEL: Final = "mail"
SCHEMES: Final = ("smtp", "smtps", "smtp+plain")
_PORTS: Final = {"smtp": 587, "smtps": 465, "smtp+plain": 25}


class Server(NamedTuple):
    """Where mail is handed in: `smtps` is TLS from the start, `smtp` demands STARTTLS, `smtp+plain` has neither."""

    scheme: str
    host: str
    port: int
    user: str
    password: str


def server_of(url: str) -> Server:
    """Read `smtp://user:password@host:587`; `ValueError` where it is none."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise ValueError(f"must look like smtp://user:password@host:587 ({', '.join(SCHEMES)})")
    port = parts.port or _PORTS[parts.scheme]
    return Server(parts.scheme, parts.hostname, port, unquote(parts.username or ""), unquote(parts.password or ""))


class Mail:
    """One mail to all recipients for each notice."""

    def __init__(self, url: str, *, sender: str, recipients: list[str], language: str, ca_file: str = "") -> None:
        self._server = server_of(url)
        self._sender, self._recipients, self._language = sender, recipients, language
        self._tls = ssl.create_default_context(cafile=ca_file or None)

    def send(self, parcel: Parcel) -> Outcome:
        """Hand the mail in; what is refused for good is not tried again."""
        message = compose(parcel, sender=self._sender, recipients=self._recipients, language=self._language, now=datetime.now(UTC))
        try:
            with self._connect() as smtp:
                refused = smtp.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            answers = [code for code, _ in error.recipients.values()]
            return _failed(answers, "no recipient is accepted")
        except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
            return _failed([error.smtp_code], type(error).__name__)
        except (smtplib.SMTPException, OSError) as error:
            # The text of an answer may hold what was sent, a password among it: its code says enough.
            code = f" {error.smtp_code}" if isinstance(error, smtplib.SMTPResponseException) else ""
            return Failed(f"{type(error).__name__}{code}")
        return Sent(f"not accepted: {', '.join(refused)}" if refused else "")

    def close(self) -> None:
        """Nothing: each mail has a connection of its own."""

    def _connect(self) -> smtplib.SMTP:
        server = self._server
        if server.scheme == "smtps":
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=ATTEMPT_TIMEOUT_S, context=self._tls)
        else:
            smtp = smtplib.SMTP(server.host, server.port, timeout=ATTEMPT_TIMEOUT_S)
        try:
            if server.scheme == "smtp":
                smtp.starttls(context=self._tls)
            if server.user:
                smtp.login(server.user, server.password)
        except BaseException:
            smtp.close()
            raise
        return smtp


def compose(parcel: Parcel, *, sender: str, recipients: list[str], language: str, now: datetime) -> EmailMessage:
    """The mail of a notice, in text and HTML; `now` is the real time, for readers sort by it."""
    domain = Address(addr_spec=sender).domain
    first = parcel.thread == parcel.uid
    message = EmailMessage()
    message["From"] = Address("Vigie", addr_spec=sender)
    message["To"] = [Address(addr_spec=recipient) for recipient in recipients]
    message["Date"] = format_datetime(now)
    # Of the first notice, so that readers that go by the subject see one thread too.
    message["Subject"] = ("" if first else "Re: ") + subject(parcel.first, language)
    message["Message-ID"] = _message_id(parcel.uid, domain)
    if not first:
        message["In-Reply-To"] = message["References"] = _message_id(parcel.thread, domain)
    message["Auto-Submitted"] = "auto-generated"
    message[ID_HEADER] = str(parcel.uid)
    message.set_content(plain(parcel.body, language))
    message.add_alternative(html(parcel.body, language), subtype="html")
    return message


def _message_id(uid: object, domain: str) -> str:
    return f"<{uid}@{domain}>"


def _failed(codes: list[int], error: str) -> Outcome:
    told = f"{error}: {', '.join(map(str, sorted(set(codes))))}"
    # 5yz is for good, 4yz may work later.
    return Refused(told) if codes and min(codes) >= 500 else Failed(told)
