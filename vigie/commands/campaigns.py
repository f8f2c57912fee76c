"""`vigie campaign`: who gets a release, and when."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from vigie.commands.transaction import transaction

if TYPE_CHECKING:
    from firmware_rollout.assignment import State
    from firmware_rollout.campaigns import Campaign
    from fleet.database import Connection

campaigns = typer.Typer(help="Campaigns: which terminals get a release, in waves.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add the group to the application."""
    app.add_typer(campaigns, name="campaign")


@campaigns.command("create")
def create_campaign(
    *,
    name: Annotated[str, typer.Argument(help="A name of its own.")],
    release: Annotated[str, typer.Option(help="The release to bring.")],
    wave: Annotated[
        list[str],
        typer.Option(help="When a wave begins and what share of the shops is reached by then: '2026-11-20T06:00 5%' (repeat)."),
    ],
    where: Annotated[
        list[str] | None, typer.Option(help="Only terminals with this, dimension=value (may be repeated); default: all.")
    ] = None,
    seed: Annotated[int, typer.Option(help="What the shops are drawn with; the same seed gives the same waves.")] = 1,
    deadline_h: Annotated[float, typer.Option(help="Hours after which an update without its version has failed.")] = 24,
) -> None:
    """Create a campaign; the last wave reaches 100%. Times without an offset are Paris's."""
    from firmware_rollout.campaigns import create_campaign as create
    from firmware_rollout.campaigns import parse_wave
    from fleet.scope import parse_scope

    with transaction("campaigns") as (conn, now):
        made = create(
            conn,
            name=name,
            release=release,
            where=parse_scope(where or []),
            waves=[parse_wave(text) for text in wave],
            seed=seed,
            deadline=timedelta(hours=deadline_h),
            now=now,
        )
        _show(conn, made)


@campaigns.command("list")
def list_campaigns() -> None:
    """List the campaigns, newest first."""
    from rich.console import Console
    from rich.table import Table

    from firmware_rollout.campaigns import list_campaigns as find

    with transaction("campaigns") as (conn, _):
        found = find(conn)
    table = Table("campaign", "release", "target", "created", "terminals")
    for one in found:
        table.add_row(one.name, one.release, _scope(one.target), _when(one.created_at), _counts(one.states))
    Console().print(table)


@campaigns.command("show")
def show_campaign(name: Annotated[str, typer.Argument(help="The campaign's name.")]) -> None:
    """Show a campaign's waves, how far each is, and why terminals moved."""
    from firmware_rollout.campaigns import campaign

    with transaction("campaigns") as (conn, _):
        _show(conn, campaign(conn, name))


def _show(conn: "Connection", campaign: "Campaign") -> None:
    from rich.console import Console
    from rich.table import Table

    from firmware_rollout.campaigns import progress, reasons

    console = Console()
    hours = campaign.deadline.total_seconds() / 3600
    console.print(
        f"{campaign.name}: release {campaign.release} for {_scope(campaign.target)};"
        f" {sum(campaign.states.values()):,} terminals, seed {campaign.seed}, deadline {hours:g} h",
        markup=False,
        highlight=False,
    )
    table = Table("wave", "planned for", "shops reached", "terminals")
    for wave in progress(conn, campaign.id):
        table.add_row(str(wave.number), _when(wave.planned_at), f"{wave.share_pct:g} %", _counts(wave.states))
    console.print(table)
    for state, why, count, last in reasons(conn, campaign.id):
        console.print(f"{count:,} became {state}: {why.replace('_', ' ')}, last {_when(last)}", markup=False, highlight=False)


def _counts(states: "Mapping[State, int]") -> str:
    """The states that occur, in the order of a terminal's way through a campaign."""
    from firmware_rollout.assignment import State

    return ", ".join(f"{states[state]:,} {state.replace('_', ' ')}" for state in State if state in states)


def _scope(scope: Mapping[str, str]) -> str:
    return " & ".join(f"{dimension}={value}" for dimension, value in scope.items()) or "the whole fleet"


def _when(moment: datetime) -> str:
    from firmware_rollout.campaigns import HOME

    return moment.astimezone(HOME).strftime("%Y-%m-%d %H:%M")
