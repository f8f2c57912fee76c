"""Mail to a real SMTP server: TLS, login, threads, both bodies, and what a server may refuse."""

import email
import re
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from diagnostics.notices.deliver import Channelled
from diagnostics.notices.mail import Mail
from diagnostics.notices.outbox import dead_notices, list_notices, set_channels
from diagnostics.notices.policy import Channel, RetryPolicy
from diagnostics.notices.sending import Failed, Parcel, Refused, Sent
from tests.integration.notice_house import START, Conn, Hand, found, happens
from vigie.engines.process import free_port

MAIL = Channel("mail", "mail")
SENDER, READERS = "vigie@pmu.example", ["dsi@pmu.example", "astreinte@pmu.example"]


@dataclass
class Box:
    """Keeps what it gets; `refusals` answers recipients, `answers` mails, each once."""

    got: list[tuple[Envelope, EmailMessage]] = field(default_factory=list)
    refusals: dict[str, str] = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802  # the server's name for it
        self, server: SMTP, session: Session, envelope: Envelope, address: str, rcpt_options: list[str]
    ) -> str:
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802  # the server's name for it
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if self.answers:
            return self.answers.pop(0)
        assert isinstance(envelope.content, bytes)
        message = email.message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        self.got.append((envelope, message))
        self.encrypted.append(session.ssl is not None)
        return "250 OK"

    @property
    def mails(self) -> list[EmailMessage]:
        return [message for _, message in self.got]


@dataclass(frozen=True)
class PostOffice:
    """A running server with STARTTLS and a login, and one without either."""

    box: Box
    secure_port: int
    plain_port: int
    tls_port: int
    ca_file: str

    @property
    def url(self) -> str:
        return f"smtp://vigie:p%40ss@localhost:{self.secure_port}"

    @property
    def plain_url(self) -> str:
        return f"smtp+plain://localhost:{self.plain_port}"


def _allowed(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: LoginPassword) -> AuthResult:
    return AuthResult(success=data.login == b"vigie" and data.password == b"p@ss", handled=False)


@pytest.fixture(scope="module")
def _office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostOffice]:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    own = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(own)
    authority.cert_pem.write_to_path(folder / "ca.pem")
    box = Box()
    ports = free_port(), free_port(), free_port()
    servers = [
        Controller(
            box,
            hostname="localhost",
            port=ports[0],
            tls_context=own,
            require_starttls=True,
            authenticator=_allowed,
            auth_required=True,
        ),
        Controller(box, hostname="localhost", port=ports[1]),
        Controller(box, hostname="localhost", port=ports[2], ssl_context=own),
    ]
    for server in servers:
        server.start()
    yield PostOffice(box, *ports, str(folder / "ca.pem"))
    for server in servers:
        server.stop()


@pytest.fixture
def office(_office: PostOffice) -> PostOffice:
    box = _office.box
    box.got, box.refusals, box.answers, box.encrypted = [], {}, [], []
    return _office


def mail(office: PostOffice, url: str = "", *, language: str = "fr", ca_file: str | None = None) -> Mail:
    authority = office.ca_file if ca_file is None else ca_file
    return Mail(url or office.url, sender=SENDER, recipients=READERS, language=language, ca_file=authority)


def side(office: PostOffice, url: str = "", *, language: str = "fr") -> Channelled:
    return Channelled(
        MAIL, mail(office, url, language=language), clock=Hand(), policy=RetryPolicy(), console_url="https://v.example"
    )


def story(conn: Conn) -> int:
    """An incident that opens, changes its scope, and is closed by a person."""
    set_channels(conn, [MAIL], now=START)
    incident = found(conn)
    happens(conn, incident, "opened")
    happens(conn, incident, "scope", scope={"carrier": "beta"})
    happens(conn, incident, "closed", state="closed", closed_at=START)
    return incident


def body_of(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    text = part.get_content()
    assert isinstance(text, str)
    return text.replace("\r\n", "\n")


def test_one_incident_is_one_thread_by_starttls_and_login(conn: Conn, office: PostOffice) -> None:
    incident = story(conn)
    assert side(office).deliver(conn) == 3
    first, changed, over = office.box.mails
    assert office.box.encrypted == [True] * 3
    assert first["To"] == ", ".join(READERS)
    assert first["From"] == f"Vigie <{SENDER}>"
    assert re.fullmatch(r"<[0-9a-f-]{36}@pmu\.example>", first["Message-ID"])
    assert first["In-Reply-To"] is None
    for later in (changed, over):
        assert later["In-Reply-To"] == later["References"] == first["Message-ID"]
        assert later["Subject"] == f"Re: {first['Subject']}"
    # Though its title has changed meanwhile.
    title = "Terminaux hors ligne\u00a0: opérateur beta, région Auvergne-Rhône-Alpes (84)"
    assert first["Subject"] == f"[Vigie {incident}] {title}"
    assert len({message["Message-ID"] for message in office.box.mails}) == 3
    assert {message["Auto-Submitted"] for message in office.box.mails} == {"auto-generated"}
    assert [str(notice.uid) for notice in reversed(list_notices(conn))] == [m["Vigie-Notice-Id"] for m in office.box.mails]
    # Real time, whatever the house's clock says.
    assert abs(first["Date"].datetime.timestamp() - time.time()) < 60


def test_a_mail_says_what_where_why_and_what_to_answer_in_text_and_html(conn: Conn, office: PostOffice) -> None:
    incident = story(conn)
    side(office).deliver(conn)
    first, changed, over = (body_of(message, "plain") for message in office.box.mails)
    lines = first.replace("\u00a0", " ").replace("\u202f", " ").splitlines()
    assert lines[0] == "Nouvel incident"
    assert "Périmètre : opérateur beta, région Auvergne-Rhône-Alpes (84)" in lines
    assert "Terminaux : 40 en ce moment, 40 au plus fort, 0 concernés" in lines
    assert "Depuis : lundi 23 novembre, 10 h 58" in lines
    assert "Cause probable : Panne du réseau de l’opérateur beta." in lines
    assert f"Dans Vigie : https://v.example/console/incidents/{incident}" in lines
    assert any(line.startswith("Pour les agents : À dire : « Votre terminal") for line in lines)
    assert changed.startswith("Périmètre précisé")
    assert over.startswith("Incident terminé")
    html = body_of(office.box.mails[0], "html")
    assert '<html lang="fr">' in html
    assert f'<a href="https://v.example/console/incidents/{incident}">' in html
    assert "Panne du réseau de l’opérateur beta." in html


def test_mail_in_english(conn: Conn, office: PostOffice) -> None:
    story(conn)
    side(office, language="en").deliver(conn)
    first = body_of(office.box.mails[0], "plain")
    assert first.startswith("New incident\n\nTerminals off line: carrier beta, region Auvergne-Rhône-Alpes (84)\n")
    assert "Since: Monday 23 November, 10:58" in first


def test_what_a_person_wrote_cannot_break_a_mail(conn: Conn, office: PostOffice) -> None:
    set_channels(conn, [MAIL], now=START)
    nasty = "<script>alert(1)</script>\r\nBcc: all@pmu.example\n& « 100 % »"
    incident = found(conn, trouble=None, title=nasty, advice=nasty)
    happens(conn, incident, "declared")
    side(office).deliver(conn)
    [(envelope, message)] = office.box.got
    assert envelope.rcpt_tos == READERS
    assert message["Bcc"] is None
    html = body_of(message, "html")
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


@pytest.mark.parametrize(
    ("answers", "refusals", "expected"),
    [
        pytest.param([], {READERS[0]: "550 unknown"}, Sent(f"not accepted: {READERS[0]}"), id="one reader is unknown"),
        pytest.param(
            [], dict.fromkeys(READERS, "550 unknown"), Refused("no recipient is accepted: 550"), id="all readers are unknown"
        ),
        pytest.param(
            [], dict.fromkeys(READERS, "451 later"), Failed("no recipient is accepted: 451"), id="all readers are greylisted"
        ),
        pytest.param(["554 spam"], {}, Refused("SMTPDataError: 554"), id="the mail is refused for good"),
        pytest.param(["452 full"], {}, Failed("SMTPDataError: 452"), id="the mail is refused for now"),
    ],
)
def test_what_the_server_answers_decides(
    office: PostOffice, conn: Conn, answers: list[str], refusals: dict[str, str], expected: object
) -> None:
    story(conn)
    office.box.answers, office.box.refusals = answers, refusals
    outcomes: list[object] = []

    class Noting(Mail):
        def send(self, parcel: Parcel) -> Sent | Failed | Refused:
            outcomes.append(super().send(parcel))
            return Refused("enough")

    noting = Noting(office.plain_url, sender=SENDER, recipients=READERS, language="fr")
    Channelled(MAIL, noting, clock=Hand(), policy=RetryPolicy()).deliver(conn)
    assert outcomes[0] == expected


@pytest.mark.parametrize(
    ("url", "error"),
    [
        pytest.param("smtp://vigie:wrong@localhost:{secure}", "SMTPAuthenticationError 535", id="wrong password"),
        pytest.param("smtp://localhost:{plain}", "SMTPNotSupportedError", id="no STARTTLS where it is demanded"),
        pytest.param("smtp+plain://localhost:1", "ConnectionRefusedError", id="nobody there"),
    ],
)
def test_a_server_that_does_not_take_it_is_tried_again(conn: Conn, office: PostOffice, url: str, error: str) -> None:
    story(conn)
    side(office, url.format(secure=office.secure_port, plain=office.plain_port)).deliver(conn)
    oldest = list_notices(conn)[-1]
    assert (oldest.state, oldest.error, oldest.attempts) == ("waiting", error, 1)
    assert office.box.got == []
    assert dead_notices(conn) == []


def test_a_server_of_another_authority_gets_nothing(conn: Conn, office: PostOffice, tmp_path: Path) -> None:
    story(conn)
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    stranger = mail(office, ca_file=str(tmp_path / "other.pem"))
    Channelled(MAIL, stranger, clock=Hand(), policy=RetryPolicy()).deliver(conn)
    assert list_notices(conn)[-1].error == "SSLCertVerificationError"
    assert office.box.got == []


def test_tls_from_the_start(conn: Conn, office: PostOffice) -> None:
    story(conn)
    assert side(office, f"smtps://localhost:{office.tls_port}").deliver(conn) == 3
