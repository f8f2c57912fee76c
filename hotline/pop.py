"""What a call shows: the shop, its every terminal with what is wrong, the incidents that explain it, its last calls.

Reads through the other packages' own functions and arranges; how it looks is the templates' business.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from diagnostics.health import Health, ReasonNow, health_of
from diagnostics.incident_views import hits_of
from diagnostics.incidents import Incident, open_incidents_of
from diagnostics.maintenance_store import Maintenance, current_maintenance
from diagnostics.reasons import Reason, State
from diagnostics.typologies.advice import Advice, advice_for
from firmware_rollout.status import RolloutStatus, rollout_status_of
from fleet import opening_hours, presence, registry
from fleet.contract import NEWEST_SAMPLE_S
from fleet.database import Connection
from fleet.feed import latest_samples
from fleet.registry import PointOfSale, Terminal
from fleet.scope import in_scope
from hotline.callbacks import Callback, open_callbacks
from hotline.calls import calls_before, list_calls
from hotline.notes import texts_of
from hotline.qualification import Qualification, qualifications_of
from hotline.readings import Reading, readings
from hotline.stored_call import StoredCall
from hotline.terminal_day import TerminalDay, read_days
from hotline.words import blamed_figures

# What an agent must see first.
WORST_FIRST: Final = (State.DOWN, State.DEGRADED, State.UNKNOWN, State.OK, State.CLOSED)
# The newest sample is looked for this far back; what is older says nothing to a caller.
SAMPLE_SPAN: Final = timedelta(days=2)
# Open shops report every 30 s, closed ones every 5 min: who has not for so long is not shown as working, whatever was judged.
OLD_SAMPLE: Final = timedelta(minutes=6)
CALLS_SHOWN: Final = 6
REPEAT_WITHIN: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class TerminalView:
    """One terminal as a screen shows it."""

    terminal: Terminal
    health: Health
    presence: presence.State | None
    reading: Reading | None
    incidents: Sequence[Incident]
    rollout: RolloutStatus


@dataclass(frozen=True, slots=True)
class ShopIncident:
    """An incident that touches a shop: the terminals of it that it hit, those only in its scope, the typology's answer if any."""

    incident: Incident
    hit: Sequence[str]
    only_in_scope: Sequence[str]
    answer: Advice | None


@dataclass(frozen=True, slots=True)
class ShopView:
    """A shop as a screen shows it; terminals worst first."""

    shop: PointOfSale
    is_open: bool
    terminals: Sequence[TerminalView]
    # The last day of each terminal, by its id.
    days: Mapping[str, TerminalDay]
    # What hit a terminal comes before what only might.
    incidents: Sequence[ShopIncident]
    # Answers to what is wrong at terminals that no incident explains.
    answers: Sequence[Advice]
    # Announced work that goes on at a terminal of this shop.
    maintenance: Sequence[Maintenance]
    calls: Sequence[StoredCall]
    # How those calls were qualified and what was written of them, by their ids.
    qualified: Mapping[int, Qualification]
    notes: Mapping[int, str]
    # What the shop was promised, or is owed for a call that nobody answered.
    callbacks: Sequence[Callback]

    @property
    def worst(self) -> State:
        """The state of the terminal that is shown first."""
        return self.terminals[0].health.state if self.terminals else State.UNKNOWN

    def tally(self) -> list[tuple[State, int]]:
        """How many terminals are in each state, worst first, empty states left out."""
        states = [view.health.state for view in self.terminals]
        return [(state, states.count(state)) for state in WORST_FIRST if state in states]


@dataclass(frozen=True, slots=True)
class CallView:
    """A call as a screen shows it: with its shop, or with the shops to pick from (none: to search for)."""

    call: StoredCall
    shop: ShopView | None
    candidates: Sequence[PointOfSale]
    # Calls of the same shop in the day before this one.
    earlier: int


# How the last day of terminals is read: `hotline.terminal_day.read_days`, or what remembers.
ReadDays = Callable[..., Mapping[str, TerminalDay]]


def view_call(conn: Connection, *, call: StoredCall, now: datetime, days: ReadDays = read_days) -> CallView:
    """Read all that one call shows."""
    if call.point_of_sale is None:
        found = registry.points_of_sale(conn, call.candidates) if call.candidates else []
        return CallView(call, None, sorted(found, key=lambda shop: shop.name), 0)
    shop = view_shop(conn, code=call.point_of_sale, now=now, days=days)
    return CallView(call, shop, [], calls_before(conn, call=call, within=REPEAT_WITHIN))


def view_shop(conn: Connection, *, code: str, now: datetime, days: ReadDays = read_days) -> ShopView | None:
    """Read all that a shop shows, None where there is no such shop."""
    shop = registry.point_of_sale(conn, code)
    if shop is None:
        return None
    terminals = registry.terminals_of(conn, points_of_sale=[code])
    views = view_terminals(conn, terminals=terminals, now=now)
    answers = advice_for(conn, terminals=[terminal.id for terminal in terminals])
    calls = list_calls(conn, point_of_sale=code, limit=CALLS_SHOWN)
    ids = [call.id for call in calls]
    hours = opening_hours.parse(shop.opening_hours)
    return ShopView(
        shop=shop,
        is_open=hours.is_open(now, ZoneInfo(shop.timezone)),
        terminals=views,
        days=days(conn, blamed={view.terminal.id: blamed_figures(view.health.reasons) for view in views}, now=now),
        incidents=_incidents_of(conn, views, answers),
        answers=[answer for answer in answers if answer.incident_id is None],
        maintenance=[one for one in current_maintenance(conn, now=now) if in_scope(one.scope, terminals)],
        calls=calls,
        qualified=qualifications_of(conn, calls=ids),
        notes=texts_of(conn, calls=ids),
        callbacks=open_callbacks(conn, point_of_sale=code),
    )


def _incidents_of(conn: Connection, views: Sequence[TerminalView], answers: Sequence[Advice]) -> list[ShopIncident]:
    """The incidents that touch the shop, each once; a part of a wider one that is there too is not said twice."""
    hits = hits_of(conn, [view.terminal.id for view in views])
    by_incident = {answer.incident_id: answer for answer in answers}
    touching: dict[int, tuple[Incident, list[str]]] = {}
    for view in views:
        for incident in view.incidents:
            touching.setdefault(incident.id, (incident, []))[1].append(view.terminal.id)
    found = []
    for incident, terminals in touching.values():
        if incident.parent_id in touching:
            continue
        hit = [one for one in terminals if incident.trouble is None or (incident.id, one) in hits]
        others = [one for one in terminals if one not in hit]
        found.append(ShopIncident(incident, hit, others, by_incident.get(incident.id)))
    return sorted(found, key=lambda one: (not one.hit, -one.incident.opened_at.timestamp()))


def view_terminals(conn: Connection, *, terminals: Sequence[Terminal], now: datetime) -> list[TerminalView]:
    """Read all that these terminals show, worst first."""
    ids = [terminal.id for terminal in terminals]
    health = health_of(conn, ids, now=now)
    connected = presence.load(conn, ids)
    readings = read_latest(conn, terminals=ids, now=now)
    # What is under announced maintenance is told to nobody, so to callers neither: the maintenance is.
    incidents = {
        terminal: [incident for incident in touching if not incident.muted]
        for terminal, touching in open_incidents_of(conn, ids).items()
    }
    rollout = rollout_status_of(conn, ids, now)
    views = [
        TerminalView(
            terminal=terminal,
            health=never_green_without_data(health[terminal.id], readings.get(terminal.id), now=now),
            presence=connected.get(terminal.id),
            reading=readings.get(terminal.id),
            incidents=incidents[terminal.id],
            rollout=rollout[terminal.id],
        )
        for terminal in terminals
    ]
    return sorted(views, key=lambda view: (WORST_FIRST.index(view.health.state), view.health.since, view.terminal.id))


def read_latest(conn: Connection, *, terminals: Sequence[str], now: datetime) -> dict[str, Reading]:
    """The newest sample of each terminal that sent one lately."""
    rows = latest_samples(conn, since=now - SAMPLE_SPAN, until=now + timedelta(seconds=NEWEST_SAMPLE_S), terminals=list(terminals))
    return {reading.terminal_id: reading for reading in readings(rows)}


def never_green_without_data(health: Health, reading: Reading | None, *, now: datetime) -> Health:
    """The health to show: a terminal judged well, but without a recent sample to show for it, is unknown."""
    if health.state is not State.OK or (reading is not None and now - reading.at < OLD_SAMPLE):
        return health
    since = reading.at if reading is not None else health.since
    return replace(health, state=State.UNKNOWN, since=since, reasons=[ReasonNow(Reason.STALE, since, None), *health.reasons])
