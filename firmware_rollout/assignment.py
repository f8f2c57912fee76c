"""What a campaign asks of one terminal, and how far it is: the row that status and planning both decide on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from fleet.database import Connection
from fleet.registry import REPORTED_FIRMWARE, REPORTED_FROM


class State(StrEnum):
    """How far an assignment is."""

    PLANNED = "planned"
    UPDATING = "updating"
    DONE = "done"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"


@dataclass(frozen=True, slots=True)
class Assignment:
    """A terminal's place in its newest campaign, and the firmware it last reported itself (None: it never did)."""

    terminal_id: str
    campaign_id: int
    campaign: str
    release: str
    wave: int
    planned_at: datetime
    deadline: timedelta
    state: State
    since: datetime
    reported: str | None


# A newer campaign takes a terminal over from an older one.
_ASSIGNMENT = f"""
    SELECT DISTINCT ON (a.terminal_id) a.terminal_id, a.campaign_id, c.name, c.release, a.wave, w.planned_at,
        c.deadline_s, a.state, a.since, {REPORTED_FIRMWARE}
    FROM firmware_rollout.assignment a
    JOIN firmware_rollout.campaign c ON c.id = a.campaign_id
    JOIN firmware_rollout.wave w ON w.campaign_id = a.campaign_id AND w.number = a.wave
    JOIN fleet.terminal t ON t.id = a.terminal_id
    {REPORTED_FROM}
"""


def assignments_of(conn: Connection, terminals: Sequence[str]) -> dict[str, Assignment]:
    """The current assignment of each of these terminals that has one."""
    found = _read(conn, "WHERE a.terminal_id = ANY(%(ids)s)", {"ids": list(terminals)})
    return {assignment.terminal_id: assignment for assignment in found}


def all_assignments(conn: Connection) -> list[Assignment]:
    """The current assignment of every terminal that has one, by terminal."""
    return _read(conn, "", {})


def _read(conn: Connection, condition: str, parameters: dict[str, Any]) -> list[Assignment]:
    rows = conn.execute(f"{_ASSIGNMENT} {condition} ORDER BY a.terminal_id, a.campaign_id DESC", parameters)
    return [
        Assignment(terminal, campaign_id, name, release, wave, planned_at, timedelta(seconds=deadline_s), State(state), since, said)
        for terminal, campaign_id, name, release, wave, planned_at, deadline_s, state, since, said in rows
    ]
