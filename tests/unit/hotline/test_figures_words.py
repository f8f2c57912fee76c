import pytest

from hotline.figures import Grouping
from hotline.figures_words import (
    FLOORS,
    GROUPINGS,
    OUTCOMES,
    PICKED,
    READINGS,
    VERDICT_STATES,
    VERDICTS,
    day_text,
    interval_text,
    percentage,
    seconds_text,
)
from hotline.floors import Floor
from hotline.intervals import Share, Verdict, mean_of
from hotline.kpi import Outcome, Picked, Reading


def test_every_outcome_figure_reading_and_verdict_has_words() -> None:
    assert set(OUTCOMES) == set(Outcome)
    assert set(PICKED) == set(Picked)
    assert set(READINGS) == set(Reading)
    assert set(GROUPINGS) == set(Grouping)
    assert set(FLOORS) == set(Floor)
    assert set(VERDICTS) == set(VERDICT_STATES) == set(Verdict)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "—"), (0.0, "0\u202fs"), (59.6, "60\u202fs"), (99.4, "99\u202fs"), (185.0, "3:05\u202fmin"), (3725.0, "1:02\u202fh")],
)
def test_seconds_are_read_at_a_glance(value: float | None, text: str) -> None:
    assert seconds_text(value) == text


def test_shares_are_written_as_the_language_does() -> None:
    assert (percentage(0.7778, "fr"), percentage(0.7, "en"), percentage(None, "fr")) == ("77,8\u202f%", "70.0%", "—")
    assert interval_text(Share(70, 90), "fr") == "68,2–85,1\u202f%"
    assert interval_text(Share(0, 0), "fr") == ""
    assert interval_text(mean_of([40.0, 42.0, 44.0]), "en") == "37\u202fs–47\u202fs"


def test_days_are_named_with_their_weekday() -> None:
    assert (day_text("2026-11-23", "fr"), day_text("2026-11-23", "en")) == ("lun. 23 nov. 2026", "Mon 23 Nov 2026")
