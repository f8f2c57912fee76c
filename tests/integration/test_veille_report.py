"""The veille's daily report from a real database: the right day, what it counts, and clear refusals."""

import csv
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from diagnostics.typologies import store
from diagnostics.typologies.report import ReportError, gather, write_csv
from diagnostics.typologies.report_page import render
from diagnostics.typologies.sorting import Sorter
from tests.integration.small_fleet import Conn, Said, add_shops, ingest
from tests.integration.typology_cases import add_incident, add_note, add_symptom

DAY = date(2026, 11, 24)
NOON = datetime(2026, 11, 24, 11, 0, tzinfo=UTC)
LATER = datetime(2026, 11, 26, 9, 0, tzinfo=UTC)


def ring(conn: Conn, *, call: int, terminals: list[str], at: datetime) -> None:
    conn.cursor().executemany(
        "INSERT INTO fleet.signal (at, terminal_id, kind, ref) VALUES (%s, %s, 'call', %s)",
        [(at, terminal, str(call)) for terminal in terminals],
    )


@pytest.fixture
def terminals(conn: Conn) -> list[str]:
    """Twenty shops with two terminals each, an incident of printers that five shops have and one rang about, a lone symptom."""
    store.deliver(conn, now=NOON - timedelta(days=20))
    found = add_shops(conn, 20)
    add_incident(
        conn,
        trouble="printer",
        scope={"model": "B"},
        terminals=found[:10],
        at=NOON,
        z={"print_errors": 6.0},
        closed_at=NOON + timedelta(hours=2),
    )
    add_symptom(conn, terminal=found[30], trouble="paper", at=NOON)
    # Half past midnight in Paris on the next day.
    add_symptom(conn, terminal=found[32], trouble="disk", at=datetime(2026, 11, 24, 23, 30, tzinfo=UTC))
    ring(conn, call=1, terminals=found[:2], at=NOON + timedelta(minutes=5))
    add_note(conn, call=1, text="bourrage papier à répétition", at=NOON + timedelta(minutes=5), terminals=found[:2])
    ring(conn, call=2, terminals=found[36:38], at=NOON + timedelta(hours=6))
    for minute in range(0, 24 * 60, 1):
        if not 600 <= minute < 630:
            at = datetime(2026, 11, 23, 23, 0, tzinfo=UTC) + timedelta(minutes=minute)
            conn.execute(
                "INSERT INTO fleet.ingest_batch (id, xid, worker, received_at, messages, samples, events, repeats, dead_letters)"
                " VALUES (%s, pg_current_xact_id(), 'test', %s, 1, 1, 0, 0, 0)",
                [minute + 1, at],
            )
    Sorter().step(conn, now=NOON + timedelta(minutes=30), regroup=False)
    return found


def test_a_day_is_told_with_its_typologies_victims_and_gaps(conn: Conn, terminals: list[str], tmp_path: Path) -> None:
    heard: list[str] = []
    report = gather(conn, day=DAY, now=LATER, language="fr", heard=3, tell=heard.append)
    assert heard
    assert report.incidents[["typology", "terminals", "shops"]].values.tolist() == [["Imprimante qui se dégrade", 10, 5]]
    assert report.symptoms["trouble"].tolist() == ["paper"]
    assert report.calls["typology"].tolist() == ["Imprimante qui se dégrade", ""]
    assert len(report.victims) == 4
    [gap] = report.gaps.to_dict("records")
    assert (gap["from_at"], gap["until_at"]) == (
        datetime(2026, 11, 24, 8, 59, tzinfo=UTC),
        datetime(2026, 11, 24, 9, 30, tzinfo=UTC),
    )
    page = render(report)
    assert "mardi 24 novembre 2026" in page
    assert re.search(r"De 09:59 à 10:30 \(31.min\)", page)
    assert not re.search(r'(src|href)="(?!#)', page)
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    for path in write_csv(report, tmp_path):
        with path.open(newline="", encoding="utf-8") as file:
            assert len(next(csv.reader(file))) > 2
    [incident] = list(csv.DictReader((tmp_path / "incidents.csv").open(encoding="utf-8")))
    assert incident["began_at"] == "2026-11-24T11:59:00+01:00"


def test_a_day_that_is_not_over_says_so_and_the_same_in_english(conn: Conn, terminals: list[str]) -> None:
    report = gather(conn, day=DAY, now=NOON + timedelta(hours=1), language="en")
    page = render(report)
    assert "This day is not over: figures go up to 13:00." in page
    assert "Failing printer" in page
    assert report.until == NOON + timedelta(hours=1)


@pytest.mark.parametrize(
    ("day", "hours"),
    [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 11, 24), 24)],
    ids=["spring", "autumn", "plain"],
)
def test_days_on_which_the_clocks_change_have_their_hours(conn: Conn, day: date, hours: int) -> None:
    [first, _] = add_shops(conn, 1)
    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    ingest(conn, [Said(first, at)], received_at=at)
    report = gather(conn, day=day, now=LATER, language="fr")
    assert report.end - report.start == timedelta(hours=hours)
    assert (f"cette journée a {hours} heures" in render(report)) == (hours != 24)
    hours_missing = [seconds / 3600 for seconds in report.gaps["seconds"]]
    assert hours_missing == [(at - report.start) / timedelta(hours=1), (report.end - at) / timedelta(hours=1)]


@pytest.mark.parametrize(
    ("day", "message"), [(date(2026, 11, 27), "has not begun"), (date(2026, 11, 20), "nothing is kept")], ids=["future", "no data"]
)
def test_a_day_that_cannot_be_told_is_refused(conn: Conn, day: date, message: str) -> None:
    with pytest.raises(ReportError, match=message):
        gather(conn, day=day, now=LATER, language="fr")
