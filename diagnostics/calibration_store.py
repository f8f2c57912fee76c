"""Thresholds in the database: the newest that a replay of quiet history found; without any, those delivered with this release."""

import json
from datetime import datetime

from psycopg.types.json import Jsonb

from diagnostics.detector.calibration import Calibration, default_calibration, read_calibration
from fleet.database import Connection


def save_calibration(conn: Connection, calibration: Calibration, *, source: str, now: datetime) -> int:
    """Store thresholds as the newest version; `source` says what they were found on. Returns the version."""
    row = conn.execute(
        "INSERT INTO diagnostics.calibration (made_at, source, thresholds) VALUES (%(now)s, %(source)s, %(thresholds)s)"
        " RETURNING version",
        {"now": now, "source": source, "thresholds": Jsonb(json.loads(calibration.to_json()))},
    ).fetchone()
    assert row is not None  # INSERT … RETURNING gives its row
    return int(row[0])


def load_calibration(conn: Connection) -> Calibration:
    """The thresholds that hold; `CalibrationError` where a stored version cannot be read: thresholds are never guessed."""
    row = conn.execute("SELECT version, thresholds FROM diagnostics.calibration ORDER BY version DESC LIMIT 1").fetchone()
    if row is None:
        return default_calibration()
    return read_calibration(json.dumps(row[1]), source=f"diagnostics.calibration, version {row[0]}")
