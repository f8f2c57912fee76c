"""What the device API reads and writes: actions, what devices say of them and of themselves, and when they came by.

The planner writes the same actions. Each side changes a state only from the one it saw, under the row's lock: here `open` to
`told` or `closed`, and `cancelling` to `closed`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg.types.json import Jsonb

from firmware_rollout.ddi.offering import Offer
from firmware_rollout.ddi.protocol import Effect, Feedback, Mode, detail_of, effect_of, effect_on_cancel, merged
from firmware_rollout.releases import Release, release_of
from firmware_rollout.states import ActionState
from fleet.database import Connection

# Beyond, a device that goes on and on is only remembered by its last word.
MOST_WORDS: Final = 1000

_OFFER: Final = """
    action.id, action.state, action.kind, action.retrieved_at IS NOT NULL, campaign.state, campaign.policy::text, shop.timezone,
    shop.opening_hours, release.sha256 IS NOT NULL AND release.withdrawn_at IS NULL
"""
_OF_CAMPAIGN: Final = """
    firmware_rollout.campaign ON campaign.id = action.campaign_id
    JOIN firmware_rollout.release ON release.version = action.release
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """A registered terminal at its poll: its action, if it has one, and whether it ever told of itself."""

    offer: Offer | None
    attributes_known: bool


def standing_of(conn: Connection, terminal_id: str) -> Standing | None:
    """What there is for a terminal; None where the registry has no such terminal. One query: it is every poll's."""
    row = conn.execute(
        f"""
        SELECT device.attributes IS NOT NULL, {_OFFER}
        FROM fleet.terminal JOIN fleet.point_of_sale AS shop ON shop.code = terminal.point_of_sale
        LEFT JOIN firmware_rollout.device ON device.terminal_id = terminal.id
        LEFT JOIN (firmware_rollout.action JOIN {_OF_CAMPAIGN})
            ON action.terminal_id = terminal.id AND action.state <> 'closed'
        WHERE terminal.id = %(terminal)s
        """,
        {"terminal": terminal_id},
    ).fetchone()
    if row is None:
        return None
    known, *offer = row
    return Standing(_offer(offer) if offer[0] is not None else None, known)


def offer_of(conn: Connection, terminal_id: str, action_id: int) -> tuple[Offer, Release] | None:
    """An action of this terminal, whatever its state, locked; None where it is none of its."""
    row = conn.execute(
        f"""
        SELECT action.release, {_OFFER}
        FROM firmware_rollout.action JOIN {_OF_CAMPAIGN}
        JOIN fleet.terminal ON terminal.id = action.terminal_id
        JOIN fleet.point_of_sale AS shop ON shop.code = terminal.point_of_sale
        WHERE action.id = %(id)s AND action.terminal_id = %(terminal)s
        FOR UPDATE OF action
        """,
        {"id": action_id, "terminal": terminal_id},
    ).fetchone()
    if row is None:
        return None
    version, *offer = row
    return _offer(offer), release_of(conn, version)


def note_retrieved(conn: Connection, action_id: int, *, now: datetime) -> None:
    """The device has fetched its deployment; the first time counts."""
    conn.execute(
        "UPDATE firmware_rollout.action SET retrieved_at = %(now)s WHERE id = %(id)s AND state = 'open' AND retrieved_at IS NULL",
        {"id": action_id, "now": now},
    )


def take_feedback(conn: Connection, terminal_id: str, action_id: int, feedback: Feedback, *, on_cancel: bool, now: datetime) -> int:
    """Keep a device's word and do what follows from it; returns the HTTP status, 404 where the action is none of its."""
    found = offer_of(conn, terminal_id, action_id)
    if found is None:
        return 404
    offer, _ = found
    # Kept also where it is refused: that a device speaks of an action nobody expects is worth knowing.
    _keep(conn, action_id, feedback, now=now)
    if on_cancel:
        effect = effect_on_cancel(feedback, offer.state)
    else:
        effect = effect_of(feedback, offer.state, may_update=offer.stands() and offer.may_update(now))
    if effect.status == 200:
        _change(conn, offer, feedback, effect, now=now)
    return effect.status


def save_attributes(conn: Connection, terminal_id: str, mode: Mode, data: Mapping[str, str], *, now: datetime) -> bool:
    """Keep what a device says of itself; False where the registry has no such terminal.

    Raises:
        ProtocolError: they become too many.
    """
    known = conn.execute(
        "SELECT device.attributes FROM fleet.terminal LEFT JOIN firmware_rollout.device ON device.terminal_id = terminal.id"
        " WHERE terminal.id = %(terminal)s FOR UPDATE OF terminal",
        {"terminal": terminal_id},
    ).fetchone()
    if known is None:
        return False
    conn.execute(
        "INSERT INTO firmware_rollout.device (terminal_id, polled_at, attributes) VALUES (%(terminal)s, %(now)s, %(attributes)s)"
        " ON CONFLICT (terminal_id) DO UPDATE SET attributes = EXCLUDED.attributes",
        {"terminal": terminal_id, "now": now, "attributes": Jsonb(merged(known[0] or {}, mode, data))},
    )
    return True


def save_visits(conn: Connection, visits: Mapping[str, datetime]) -> None:
    """Keep when devices were last there, many in one statement; in one order, so that two programs don't wait for each other."""
    terminals = sorted(visits)
    conn.execute(
        """
        INSERT INTO firmware_rollout.device (terminal_id, polled_at)
        SELECT * FROM unnest(%(terminals)s::text[], %(times)s::timestamptz[])
        ON CONFLICT (terminal_id) DO UPDATE SET polled_at = EXCLUDED.polled_at WHERE device.polled_at < EXCLUDED.polled_at
        """,
        {"terminals": terminals, "times": [visits[terminal] for terminal in terminals]},
    )


def _offer(row: list[Any]) -> Offer:
    action_id, state, *rest = row
    return Offer(action_id, ActionState(state), *rest)


def _keep(conn: Connection, action_id: int, feedback: Feedback, *, now: datetime) -> None:
    """Store a word, unless it is the last one over again."""
    conn.execute(
        """
        INSERT INTO firmware_rollout.feedback (action_id, at, execution, finished, progress, code, details)
        SELECT %(id)s, %(now)s, %(execution)s, %(finished)s, %(progress)s, %(code)s, %(details)s
        WHERE NOT EXISTS (
            SELECT FROM (
                SELECT execution, finished, progress, code, details FROM firmware_rollout.feedback
                WHERE action_id = %(id)s ORDER BY id DESC LIMIT 1
            ) AS last
            WHERE last IS NOT DISTINCT FROM
                ROW(%(execution)s::text, %(finished)s::text, %(progress)s::smallint, %(code)s::integer, %(details)s::text[])
        ) AND (SELECT count(*) FROM firmware_rollout.feedback WHERE action_id = %(id)s) < %(most)s
        """,
        {
            "id": action_id,
            "now": now,
            "execution": feedback.execution,
            "finished": feedback.finished,
            "progress": feedback.progress,
            "code": feedback.code,
            "details": list(feedback.details),
            "most": MOST_WORDS,
        },
    )


def _change(conn: Connection, offer: Offer, feedback: Feedback, effect: Effect, *, now: datetime) -> None:
    state = effect.state or offer.state
    conn.execute(
        """
        UPDATE firmware_rollout.action SET heard_at = %(now)s, stage = %(stage)s, progress = %(progress)s,
            detail = CASE WHEN %(detail)s = '' THEN detail ELSE %(detail)s END, state = %(state)s, outcome = %(outcome)s,
            told_at = CASE WHEN %(state)s = 'told' THEN %(now)s ELSE told_at END,
            closed_at = CASE WHEN %(state)s = 'closed' THEN %(now)s END
        WHERE id = %(id)s AND state = %(before)s
        """,
        {
            "id": offer.action_id,
            "before": offer.state,
            "state": state,
            "outcome": effect.outcome,
            "stage": feedback.execution,
            "progress": feedback.progress,
            "detail": detail_of(feedback),
            "now": now,
        },
    )
