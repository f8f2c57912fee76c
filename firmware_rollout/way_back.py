"""What a roll-back would do, before anybody does it: who goes back, and who runs the release and stays."""

from typing import Final, NamedTuple

from firmware_rollout.releases import is_at_least
from firmware_rollout.snapshot import TAKEN_OVER
from fleet.database import Connection
from fleet.registry import REPORTED_FIRMWARE, REPORTED_FROM

# Terminals alike, counted: there are a handful of versions, and as many ways back.
_ALIKE: Final = f"""
    SELECT {REPORTED_FIRMWARE}, a.firmware_before IS NOT NULL, b.filename IS NOT NULL AND b.withdrawn_at IS NULL,
        a.state = 'updating', CASE WHEN a.state = 'failed' AND a.retry_at IS NULL THEN COALESCE((
            SELECT x.kind = 'roll_back' FROM firmware_rollout.action x
            WHERE x.campaign_id = a.campaign_id AND x.terminal_id = a.terminal_id ORDER BY x.id DESC LIMIT 1), false)
            ELSE false END, count(*)
    FROM firmware_rollout.assignment a
    JOIN fleet.terminal t ON t.id = a.terminal_id
    {REPORTED_FROM}
    LEFT JOIN firmware_rollout.release b ON b.version = a.firmware_before
    WHERE a.campaign_id = %(id)s AND NOT {TAKEN_OVER}
    GROUP BY 1, 2, 3, 4, 5
"""


class WayBack(NamedTuple):
    """How many terminals of a campaign a roll-back concerns.

    `back` get again what they ran before; `had_it` ran the release before the campaign and stay; `stranded` stay because what they
    ran before is no release with a file, or was tried in vain; `on_their_way` are asked to stop, and go back if they cannot.
    """

    back: int
    had_it: int
    stranded: int
    on_their_way: int


def way_back(conn: Connection, campaign_id: int, release: str) -> WayBack:
    """What a roll-back of this campaign would do as things stand."""
    back = had_it = stranded = on_their_way = 0
    for reported, asked, has_file, updating, in_vain, count in conn.execute(_ALIKE, {"id": campaign_id}):
        if not is_at_least(reported, release):
            on_their_way += count if updating else 0
        elif not asked:
            had_it += count
        elif in_vain or not has_file:
            stranded += count
        else:
            back += count
    return WayBack(back, had_it, stranded, on_their_way)
