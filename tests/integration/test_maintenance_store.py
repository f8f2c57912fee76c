"""Announced maintenance: who may announce what, and what the diagnosis is told of it."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from typer.testing import CliRunner

from diagnostics.maintenance_store import (
    Maintenance,
    MaintenanceError,
    announce,
    cancel,
    current_maintenance,
    list_maintenance,
    windows_between,
)
from diagnostics.tracking.maintenance import Window
from fleet.clock import to_ms
from fleet.scope import ScopeError
from tests.integration.small_fleet import Conn, add_shops
from vigie.cli import app

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


def planned(conn: Conn, *, starts: datetime = NOW + HOUR, ends: datetime = NOW + 2 * HOUR, now: datetime = NOW) -> Maintenance:
    return announce(conn, scope={"carrier": "alpha"}, starts_at=starts, ends_at=ends, note="new routers", actor="dsi", now=now)


def test_announced_work_counts_from_its_start_to_its_end(conn: Conn) -> None:
    add_shops(conn, 1)
    made = planned(conn)
    assert list_maintenance(conn, since=NOW) == [made]
    assert [current_maintenance(conn, now=NOW + minutes * HOUR) for minutes in (0, 1, 2)] == [[], [made], []]
    expected = [Window({"carrier": "alpha"}, to_ms(NOW + HOUR), to_ms(NOW + 2 * HOUR))]
    assert windows_between(conn, start=NOW + HOUR, end=NOW + HOUR) == expected
    assert windows_between(conn, start=NOW, end=NOW + HOUR / 2) == []
    assert windows_between(conn, start=NOW + 2 * HOUR, end=NOW + 3 * HOUR) == []


def test_work_that_was_announced_late_hides_nothing_that_went_before(conn: Conn) -> None:
    add_shops(conn, 1)
    planned(conn, starts=NOW - HOUR, ends=NOW + HOUR)
    assert windows_between(conn, start=NOW - HOUR, end=NOW - HOUR / 2) == []
    assert [window.starts_ms for window in windows_between(conn, start=NOW, end=NOW)] == [to_ms(NOW)]


def test_work_that_ends_early_counts_until_then_and_work_called_off_not_at_all(conn: Conn) -> None:
    add_shops(conn, 1)
    early, off = planned(conn), planned(conn, starts=NOW + 5 * HOUR, ends=NOW + 6 * HOUR)
    cancel(conn, early.id, actor="dsi", now=NOW + 1.5 * HOUR)
    done = cancel(conn, off.id, actor="dsi", now=NOW + 1.5 * HOUR)
    assert (done.cancelled_by, done.cancelled_at) == ("dsi", NOW + 1.5 * HOUR)
    assert [window.ends_ms for window in windows_between(conn, start=NOW, end=NOW + 9 * HOUR)] == [to_ms(NOW + 1.5 * HOUR)]
    assert list_maintenance(conn, since=NOW + 2 * HOUR) == []
    assert [one.id for one in list_maintenance(conn)] == [off.id, early.id]


@pytest.mark.parametrize(
    ("changed", "field", "words"),
    [
        pytest.param({"note": " "}, "note", "say in a few words", id="no note"),
        pytest.param({"ends_at": NOW}, "ends_at", "ends before it starts", id="ends before it starts"),
        pytest.param({"starts_at": NOW - 2 * HOUR, "ends_at": NOW - HOUR}, "ends_at", "over already", id="over already"),
        pytest.param({"ends_at": NOW + 24 * 8 * HOUR}, "ends_at", "more than 7 days", id="would hide a week"),
        pytest.param({"scope": {"carrier": "beta", "model": "A"}}, "scope", "all of them at once", id="nobody is touched"),
    ],
)
def test_what_makes_no_sense_is_not_announced(conn: Conn, changed: dict[str, object], field: str, words: str) -> None:
    add_shops(conn, 1)
    add_shops(conn, 1, first=10, carrier="beta")
    add_shops(conn, 1, first=20, model="A")
    whole = {"scope": {}, "starts_at": NOW, "ends_at": NOW + HOUR, "note": "x", "actor": "dsi", "now": NOW} | changed
    with pytest.raises(MaintenanceError, match=words) as refused:
        announce(conn, **whole)  # type: ignore[arg-type]  # the table above overrides one argument of any type
    assert refused.value.field == field
    assert list_maintenance(conn) == []


def test_an_unknown_value_is_refused_with_the_known_ones(conn: Conn) -> None:
    add_shops(conn, 1)
    with pytest.raises(ScopeError, match="known: alpha"):
        announce(conn, scope={"carrier": "omega"}, starts_at=NOW, ends_at=NOW + HOUR, note="x", actor="dsi", now=NOW)


@pytest.mark.parametrize(
    ("at", "words"),
    [pytest.param(NOW + 3 * HOUR, "is over", id="over"), pytest.param(NOW + HOUR, "was cancelled", id="cancelled before")],
)
def test_what_is_over_is_not_cancelled(conn: Conn, at: datetime, words: str) -> None:
    add_shops(conn, 1)
    made = planned(conn)
    if words == "was cancelled":
        cancel(conn, made.id, actor="dsi", now=NOW)
    with pytest.raises(MaintenanceError, match=words):
        cancel(conn, made.id, actor="dsi", now=at)
    with pytest.raises(MaintenanceError, match="never announced"):
        cancel(conn, 0, actor="dsi", now=at)


def test_the_command_announces_lists_and_cancels(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:

    monkeypatch.setenv("VIGIE_DATABASE_URL", database_url)
    monkeypatch.setenv("COLUMNS", "160")
    with psycopg.connect(database_url) as conn:
        add_shops(conn, 1)
    run = CliRunner().invoke
    done = run(app, ["maintenance", "announce", "new routers", "--by", "dsi", "--where", "carrier=alpha", "--minutes", "30"])
    assert done.exit_code == 0, done.output
    assert "carrier=alpha" in done.output
    shown = run(app, ["maintenance", "list"]).output
    assert "under way" in shown
    assert "new routers" in shown
    assert run(app, ["maintenance", "cancel", "1", "--by", "dsi"]).exit_code == 0
    assert "new routers" not in run(app, ["maintenance", "list"]).output
    assert "cancelled" in run(app, ["maintenance", "list", "--all"]).output
    both = run(app, ["maintenance", "announce", "x", "--by", "dsi", "--until", "soon", "--minutes", "3"])
    assert "either --until or --minutes" in str(both.exception)
    assert "write it as" in str(run(app, ["maintenance", "announce", "x", "--by", "dsi", "--until", "soon"]).exception)
