"""What the terminal shows of a campaign: its waves with their progress, the gate's word, and why terminals moved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from firmware_rollout.advancing import ReadingNow
from firmware_rollout.campaigns import HOME, Campaign, WaveProgress, campaign, progress, reasons
from firmware_rollout.gating import newest_reading
from firmware_rollout.passing import let_pass_by
from firmware_rollout.states import SETTLED, CampaignState, State
from fleet.database import Connection

ENDED: Final = (CampaignState.FINISHED, CampaignState.ABORTED, CampaignState.ROLLED_BACK)
_MOST_REASONS: Final = 12
_STYLES: Final = {CampaignState.HALTED: "bold red", CampaignState.RUNNING: "bold green", CampaignState.FINISHED: "green"}


@dataclass(frozen=True)
class View:
    """A campaign as it was read at one moment."""

    campaign: Campaign
    waves: list[WaveProgress]
    reading: ReadingNow | None
    reasons: list[tuple[State, str, int, datetime]]
    # Who let which wave pass.
    let_pass: Mapping[int, str]


def read(conn: Connection, name: str) -> View:
    """Read what is shown; raises `CampaignError` where there is no such campaign."""
    found = campaign(conn, name)
    return View(
        found, progress(conn, found.id), newest_reading(conn, found.id), reasons(conn, found.id), let_pass_by(conn, found.id)
    )


def picture(view: View, now: datetime) -> RenderableType:
    """The campaign as a text with a table."""
    one = view.campaign
    head = Text(f"{one.name}: ")
    head.append(one.state.replace("_", " "), style=_STYLES.get(one.state, "bold"))
    head.append(f" since {when_text(one.state_since)}{f': {one.reason}' if one.reason else ''}")
    approved = f"approved by {one.approved_by}" if one.approved_by else "not approved"
    facts = Text(
        f"release {one.release} for {scope_text(one.target)}; {sum(one.states.values()):,} terminals; seed {one.seed};"
        f" made by {one.created_by}, {approved}"
    )
    table = Table("wave", "begins", "shops reached", "", "terminals")
    for wave in view.waves:
        total = sum(wave.states.values())
        settled = sum(count for state, count in wave.states.items() if state in SETTLED)
        bar = ProgressBar(total=max(total, 1), completed=settled, width=20)
        begins = _begins(wave, one.state, now)
        begins += f"; let pass by {view.let_pass[wave.number]}" if wave.number in view.let_pass else ""
        table.add_row(str(wave.number), begins, f"{wave.share_pct:g} %", bar, counts_text(wave.states))
    gate = "has not judged yet" if view.reading is None else f"says {view.reading.verdict}: {view.reading.finding}"
    moved = [
        Text(f"{count:,} became {state}: {why.replace('_', ' ')}, last {when_text(last)}")
        for state, why, count, last in view.reasons[:_MOST_REASONS]
    ]
    return Group(head, facts, table, Text(f"the gate {gate}"), *moved)


def counts_text(states: Mapping[State, int]) -> str:
    """The states that occur, in the order of a terminal's way through a campaign."""
    return ", ".join(f"{states[state]:,} {state.replace('_', ' ')}" for state in State if state in states)


def line(view: View) -> str:
    """The same in one line, as far as it may change."""
    one, begun = view.campaign, [wave.number for wave in view.waves if wave.opened_at is not None]
    words = f"{one.name}: {one.state.replace('_', ' ')}{f' ({one.reason})' if one.reason else ''}"
    words += f"; wave {max(begun, default=0)} of {len(view.waves)}; {counts_text(one.states)}"
    return words if view.reading is None else f"{words}; the gate says {view.reading.verdict}: {view.reading.finding}"


def done_text(states: Mapping[State, int]) -> str:
    """How far a campaign is, in few words."""
    bad = counts_text({state: states[state] for state in (State.FAILED, State.ROLLED_BACK) if state in states})
    return f"{states.get(State.DONE, 0):,} of {sum(states.values()):,} done{f', {bad}' if bad else ''}"


def scope_text(scope: Mapping[str, Sequence[str]]) -> str:
    """Whom a campaign aims at."""
    return " & ".join(f"{dimension}={' or '.join(values)}" for dimension, values in scope.items()) or "the whole fleet"


def when_text(moment: datetime) -> str:
    """A time, in Paris."""
    return moment.astimezone(HOME).strftime("%Y-%m-%d %H:%M")


def _begins(wave: WaveProgress, state: CampaignState, now: datetime) -> str:
    if wave.opened_at is not None:
        return f"began {when_text(wave.opened_at)}"
    if state in ENDED or state is CampaignState.ROLLING_BACK:
        return "did not begin"
    if wave.planned_at > now:
        return f"not before {when_text(wave.planned_at)}"
    if wave.number > 1:
        return "when the gate lets it"
    return "once approved" if state is CampaignState.DRAFT else "at once"
