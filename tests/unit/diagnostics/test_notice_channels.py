"""Settings of the channels, the signature that receivers check, and what retained topics hold."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from diagnostics.notices.body import Body, about, make
from diagnostics.notices.mail_text import headline, html, plain
from diagnostics.notices.policy import Event, Verdict
from diagnostics.notices.retained import payload
from diagnostics.notices.settings import NoticeSettings, channels_of
from diagnostics.notices.webhook import asked_to_wait_s, channel_name, signature
from diagnostics.typography import LANGUAGES
from fleet.contract import IncidentState
from fleet.errors import VigieError
from fleet.settings import read

DOCS = Path(__file__).parents[3] / "docs"
SECRET = "0123456789abcdef"
NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
SMTP = "smtp://vigie:secret@mail.example:587"


def incident(**fields: Any) -> Any:
    row = {
        "id": 12,
        "state": "open",
        "trouble": "offline",
        "title": "",
        "advice": "",
        "scope": {"carrier": "beta"},
        "evidence": {},
        "began_at": NOW,
        "opened_at": NOW,
        "acknowledged_at": None,
        "acknowledged_by": None,
        "closed_at": None,
        "terminals": 84,
        "hits": 40,
        "worst_hits": 61,
        "reopened": 0,
        "latched": False,
        "parent_id": None,
        **fields,
    }
    return about(row, children=[{"id": 13, "title": "", "trouble": "tx_slow", "scope": {}}])


def body(event: Event = Event.OPENED, **fields: Any) -> Body:
    return make(notice="n", event=event, verdict=Verdict.FIRST, at=NOW, actor="Ada", comment="", incident=incident(**fields))


def sample() -> Callable[[str, str, bytes], bool]:
    """The function of the page, as a receiver would copy it."""
    [code] = re.findall(r"```python\n(.*?)```", (DOCS / "notices.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    checked: Callable[[str, str, bytes], bool] = names["is_from_vigie"]
    return checked


def test_the_sample_of_the_page_accepts_what_vigie_signs_and_nothing_else() -> None:
    check, sent, now_s = sample(), b'{"kind":"opened"}', int(time.time())
    good = signature(SECRET, sent, at_s=now_s)
    assert check(SECRET, good, sent)
    assert not check(SECRET, good, sent.replace(b"opened", b"closed"))
    assert not check("another secret!!", good, sent)
    assert not check(SECRET, signature(SECRET, sent, at_s=now_s - 301), sent)
    assert not check(SECRET, good.replace(f"t={now_s}", f"t={now_s - 1}"), sent)
    for broken in ("", "t=,v1=", "v1=00", f"t={now_s}", "é=1,t=x,v1=é", f"t={now_s},v1=é"):
        assert not check(SECRET, broken, sent)


def test_the_page_names_every_event_and_header() -> None:
    page = (DOCS / "notices.md").read_text()
    named = {name for row in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE) for name in re.findall("`(.*?)`", row)}
    assert named == {*Event, "Vigie-Notice-Id", "Vigie-Signature"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("120", 120.0, id="seconds"),
        pytest.param("Thu, 01 Jan 1970 00:16:50 GMT", 10.0, id="a date to come"),
        pytest.param("Thu, 01 Jan 1970 00:00:10 GMT", 0.0, id="a date of the past"),
        pytest.param("-5", None, id="no time"),
        pytest.param("", None, id="nothing"),
        pytest.param("nan", None, id="not a number"),
        pytest.param("٣", None, id="digits of another script"),
    ],
)
def test_what_a_receiver_asks_for(value: str, expected: float | None) -> None:
    assert asked_to_wait_s(value, now_s=1000.0) == expected


def test_a_channel_is_named_by_its_host_and_never_by_what_a_url_may_hide() -> None:
    names = {channel_name(url) for url in ("https://h.example/a?token=x", "https://h.example/b?token=x")}
    assert len(names) == 2
    assert all(re.fullmatch(r"webhook h\.example [0-9a-f]{6}", name) for name in names)


def test_without_settings_there_is_no_channel() -> None:
    assert channels_of(read(NoticeSettings)) == {}


def test_every_channel_that_is_set_is_there() -> None:
    settings = read(
        NoticeSettings,
        notice_webhook_urls="https://a.example/x, https://b.example/x https://a.example/x",
        notice_webhook_secret=SECRET,
        notice_webhook_minimum=5,
        notice_smtp_url=SMTP,
        notice_mail_from="vigie@pmu.example",
        notice_mail_to="dsi@pmu.example, astreinte@pmu.example",
        notice_mail_minimum=50,
        notice_mqtt_url="mqtt://vigie-watch:x@broker:1884",
    )
    assert [(channel.kind, channel.minimum) for channel in channels_of(settings)] == [
        ("webhook", 5),
        ("webhook", 5),
        ("mail", 50),
        ("mqtt", 0),
    ]
    for make_sender in channels_of(settings).values():
        make_sender().close()
    shown = repr(settings)
    assert SECRET not in shown
    assert "secret" not in shown.replace("notice_webhook_secret", "")
    assert "a.example" not in shown


@pytest.mark.parametrize(
    ("given", "named"),
    [
        pytest.param({"notice_webhook_urls": "ftp://x"}, "VIGIE_NOTICE_WEBHOOK_URLS", id="no URL of the web"),
        pytest.param({"notice_webhook_urls": "https://x"}, "VIGIE_NOTICE_WEBHOOK_SECRET", id="no secret"),
        pytest.param(
            {"notice_webhook_urls": "https://x", "notice_webhook_secret": "short"}, "VIGIE_NOTICE_WEBHOOK_SECRET", id="short secret"
        ),
        pytest.param({"notice_smtp_url": "mail.example"}, "VIGIE_NOTICE_SMTP_URL", id="no URL of a mail server"),
        pytest.param({"notice_smtp_url": "smtp://mail.example:x"}, "VIGIE_NOTICE_SMTP_URL", id="no port"),
        pytest.param({"notice_smtp_url": SMTP}, "VIGIE_NOTICE_MAIL_FROM", id="nobody to write to"),
        pytest.param({"notice_mail_to": "a@x.example, dsi@"}, "VIGIE_NOTICE_MAIL_TO", id="half an address"),
        pytest.param({"notice_mail_from": "vigie"}, "VIGIE_NOTICE_MAIL_FROM", id="no domain"),
        pytest.param({"notice_smtp_ca_file": "/nowhere/ca.pem"}, "VIGIE_NOTICE_SMTP_CA_FILE", id="no such file"),
        pytest.param({"notice_mqtt_url": "http://broker"}, "VIGIE_NOTICE_MQTT_URL", id="no broker"),
        pytest.param({"notice_give_up_hours": 0}, "VIGIE_NOTICE_GIVE_UP_HOURS", id="no time at all"),
        pytest.param({"notice_mail_language": "de"}, "VIGIE_NOTICE_MAIL_LANGUAGE", id="a language we do not write"),
    ],
)
def test_a_wrong_setting_stops_the_start_and_is_named(given: dict[str, Any], named: str) -> None:
    with pytest.raises(VigieError, match=named):
        read(NoticeSettings, **given)


@pytest.mark.parametrize("event", [Event.CLOSED, Event.RESOLVED, Event.MERGED, Event.PARENT, Event.MUTED])
def test_a_topic_is_empty_once_an_incident_is_over(event: Event) -> None:
    assert payload(body(event)) == b""


def test_a_topic_holds_the_contracts_payload() -> None:
    state = msgspec.json.decode(payload(body(latched=True)), type=IncidentState)
    assert (state.id, state.state, state.hits, state.terminals, state.flapping, state.children) == (12, "open", 40, 84, True, [13])
    assert payload(body(state="closed")) == b""


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("event", Event)
def test_every_event_has_a_headline_in_a_mail(event: Event, language: str) -> None:
    said = headline(body(event, parent_id=14), language)
    assert said
    assert "%" not in said
    assert plain(body(event, parent_id=14), language).startswith(said + "\n")
    assert f'lang="{language}"' in html(body(event, parent_id=14), language)
    if event in (Event.MERGED, Event.PARENT):
        assert "14" in said
    if event in (Event.ACKNOWLEDGED, Event.RESOLVED, Event.DECLARED):
        assert "Ada" in said


def test_no_two_events_that_are_told_have_the_same_headline() -> None:
    told = [event for event in Event if event not in (Event.JOINED, Event.COMMENTED)]
    for language in LANGUAGES:
        assert len({headline(body(event), language) for event in told}) == len(told)


def test_a_percent_sign_of_a_person_breaks_nothing() -> None:
    nasty = msgspec.structs.replace(body(Event.RESOLVED), actor="100 % Ada", comment="50 % <b>\nfini")
    assert "100 % Ada" in headline(nasty, "fr").replace("\u202f", " ")
    assert "<b>" not in html(nasty, "fr")
    assert "- fini" in plain(nasty, "fr")
