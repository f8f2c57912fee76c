"""Harm that the gate found: what stays true of a campaign, and of its release, when the campaign has been halted and undone.

It stands until a person lets the campaign go on against it (`campaign.overruled`), who then answers for it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from firmware_rollout.gate.judging import Reason, Why
from firmware_rollout.gate.policy import Metric
from fleet.database import Connection

# The newest reading that found harm, of a campaign `c`: its `at`, `reading`, and the metrics that are `worse`.
HARM: Final = """
    SELECT r.at, r.reading, jsonb_path_query_array(r.reading::jsonb, '$.reasons[*] ? (@.why == "worse").metric') AS worse
    FROM firmware_rollout.gate_reading r
    WHERE r.campaign_id = c.id AND r.verdict = 'halt' AND r.id > COALESCE(c.overruled, 0)
        AND jsonb_path_exists(r.reading::jsonb, '$.reasons[*] ? (@.why == "worse")')
    ORDER BY r.id DESC LIMIT 1
"""


class Harm(NamedTuple):
    """What the gate of a campaign found its release to do, and when."""

    campaign_id: int
    campaign: str
    release: str
    at: datetime
    reasons: Sequence[Reason]

    @property
    def metrics(self) -> list[Metric]:
        """What became worse."""
        return [reason.metric for reason in self.reasons if reason.metric is not None]


class _Reasons(msgspec.Struct):
    """Of a reading only why; the rest is not needed here."""

    reasons: tuple[Reason, ...]


def harms(conn: Connection, *, release: str | None = None) -> list[Harm]:
    """The harm that stands, newest campaign first; of one release where that is given."""
    rows = conn.execute(
        f"SELECT c.id, c.name, c.release, g.at, g.reading FROM firmware_rollout.campaign c JOIN LATERAL ({HARM}) g ON true"
        " WHERE (%(release)s::text IS NULL OR c.release = %(release)s) ORDER BY c.id DESC",
        {"release": release},
    )
    return [
        Harm(id_, name, version, at, [one for one in _read(reading) if one.why is Why.WORSE])
        for id_, name, version, at, reading in rows
    ]


def told(harm: Harm) -> str:
    """One of them in a line."""
    metrics = ", ".join(metric.replace("_", " ") for metric in harm.metrics)
    return f"the gate found {harm.release} to do harm ({metrics}) in campaign {harm.campaign}"


def by_release(found: Sequence[Harm]) -> dict[str, list[Harm]]:
    """The same, by version."""
    return {version: [one for one in found if one.release == version] for version in {one.release for one in found}}


def _read(reading: str) -> tuple[Reason, ...]:
    return msgspec.json.decode(reading, type=_Reasons).reasons
