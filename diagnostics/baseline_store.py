"""What the diagnosis has learnt, in the database: versions of it, the newest of which a restart begins with."""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from diagnostics.detector.observed import Fleet
from diagnostics.tracking.learnt import Learnt
from fleet.database import Connection
from fleet.errors import VigieError

log = logging.getLogger(__name__)

# One that turns out bad must not be the only one.
KEPT: Final = 3


@dataclass(frozen=True)
class Version:
    """A stored version and until when the feed was learnt."""

    learnt: Learnt
    learnt_until: datetime
    version: int


def save_baseline(conn: Connection, state: bytes, *, terminals: int, learnt_until: datetime, now: datetime) -> int:
    """Store `Learnt.to_bytes` as the newest version and drop what is older than the last `KEPT`; returns the version."""
    row = conn.execute(
        "INSERT INTO diagnostics.baseline (made_at, learnt_until, layout, terminals, state)"
        " VALUES (%(now)s, %(until)s, %(layout)s, %(terminals)s, %(state)s) RETURNING version",
        {"now": now, "until": learnt_until, "layout": Learnt.LAYOUT, "terminals": terminals, "state": state},
    ).fetchone()
    assert row is not None  # INSERT … RETURNING gives its row
    conn.execute(
        "DELETE FROM diagnostics.baseline WHERE version <= %(version)s AND version NOT IN"
        " (SELECT version FROM diagnostics.baseline ORDER BY version DESC LIMIT %(kept)s)",
        {"version": row[0], "kept": KEPT},
    )
    return int(row[0])


def load_baseline(conn: Connection, fleet: Fleet) -> Version | None:
    """The newest version of this release's layout that can be unpacked for this fleet; None where there is none."""
    rows = conn.execute(
        "SELECT version, learnt_until FROM diagnostics.baseline WHERE layout = %(layout)s ORDER BY version DESC",
        {"layout": Learnt.LAYOUT},
    ).fetchall()
    for version, learnt_until in rows:
        stored = conn.execute("SELECT state FROM diagnostics.baseline WHERE version = %(version)s", {"version": version}).fetchone()
        if stored is None:
            continue
        try:
            learnt = Learnt.from_bytes(bytes(stored[0]))
            # Whatever is wrong with it shows here, where an older version can take its place.
            learnt.baseline_for(fleet)
            learnt.habits_for(fleet)
            learnt.firmware_changed_for(fleet)
            return Version(learnt, learnt_until, version)
        except VigieError as error:
            log.warning("baseline %s cannot be read: %s", version, error, extra={"action": "baseline", "version": version})
    return None
