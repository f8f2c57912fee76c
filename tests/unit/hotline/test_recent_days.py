"""A terminal's last day that was just read serves the next events of its shop's call."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hotline import terminal_day
from hotline.terminal_day import RecentDays, TerminalDay

NOW = datetime(2026, 11, 23, 9, 2, tzinfo=UTC)
NONE: frozenset[str] = frozenset()
PAPER = frozenset({"paper_pct"})


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """The terminals of each reading."""
    readings: list[set[str]] = []

    def read_days(_conn: object, *, blamed: Mapping[str, frozenset[str]], now: datetime) -> dict[str, TerminalDay]:
        readings.append(set(blamed))
        end = now + timedelta(minutes=3)
        return {terminal: TerminalDay(end - timedelta(days=1), end, [], (), names, []) for terminal, names in blamed.items()}

    monkeypatch.setattr(terminal_day, "read_days", read_days)
    return readings


@pytest.mark.parametrize(
    ("asked", "after", "again"),
    [
        pytest.param({"T00011": PAPER, "T00012": NONE}, 10, set(), id="the same a moment later"),
        pytest.param({"T00011": PAPER, "T00021": NONE}, 10, {"T00021"}, id="one more terminal"),
        pytest.param({"T00011": NONE, "T00012": NONE}, 10, {"T00011"}, id="the terminal's reasons have changed"),
        pytest.param({"T00011": PAPER}, 40, {"T00011"}, id="half a minute later"),
        pytest.param({"T00011": PAPER}, -10, {"T00011"}, id="the clock was set back"),
    ],
)
def test_a_day_is_read_again_when_it_may_have_changed(
    read: list[set[str]], asked: dict[str, frozenset[str]], after: float, again: set[str]
) -> None:
    days, conn = RecentDays(), Any
    days(conn, blamed={"T00011": PAPER, "T00012": NONE}, now=NOW)  # type: ignore[arg-type]  # nothing asks it anything
    found = days(conn, blamed=asked, now=NOW + timedelta(seconds=after))  # type: ignore[arg-type]  # likewise
    assert {terminal: day.blamed for terminal, day in found.items()} == asked
    assert read == [{"T00011", "T00012"}, again]
