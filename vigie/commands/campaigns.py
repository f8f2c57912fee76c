"""`vigie campaign`: who gets a release, and when; approve, watch and stop it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vigie.commands.acting import acting
from vigie.commands.transaction import connection, transaction

if TYPE_CHECKING:
    from firmware_rollout.policy import Policy
    from firmware_rollout.way_back import WayBack

campaigns = typer.Typer(help="Campaigns: which terminals get a release, in waves.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="The campaign's name.")]
WhyOption = Annotated[str, typer.Option(help="The reason, for whoever finds it so.")]
ByOption = Annotated[str, typer.Option("--by", help="Who does it; the account on this machine is noted beside it.")]


def add_to(app: typer.Typer) -> None:
    """Add the group to the application."""
    app.add_typer(campaigns, name="campaign")


@campaigns.command("create")
def create_campaign(
    *,
    name: Annotated[str, typer.Argument(help="A name of its own.")],
    release: Annotated[str, typer.Option(help="The release to bring.")],
    wave: Annotated[
        list[str] | None,
        typer.Option(
            help="The earliest time of a wave and what share of the shops is reached by then: '2026-11-20T06:00 5%' (repeat);"
            " default: the policy's shares, each when the gate lets it."
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="Only terminals with this, dimension=value (may be repeated; one dimension repeated: either); default: all."
        ),
    ] = None,
    policy: Annotated[
        Path | None, typer.Option(help="Policy as JSON; what it leaves out is as `vigie campaign policy` says.")
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=2**62 - 1, help="What the shops are drawn with; the same seed gives the same waves.")
    ] = 1,
    by: ByOption = "",
) -> None:
    """Draft a campaign, for somebody else to approve. Times without an offset are Paris's."""
    from firmware_rollout.campaigns import create_campaign as create
    from firmware_rollout.campaigns import parse_wave
    from firmware_rollout.harm import harms, told
    from firmware_rollout.passing import few_shops
    from fleet.scope import parse_target

    with transaction("campaigns") as (conn, now):
        made = create(
            conn,
            name=name,
            release=release,
            where=parse_target(where or []),
            waves=[parse_wave(text) for text in wave or []],
            policy=_read_policy(policy),
            seed=seed,
            actor=acting(by),
            now=now,
        )
        few = few_shops(conn, made.id)
        found_harms = harms(conn, release=made.release)
    show_campaign(made.name)
    for harm in found_harms:
        typer.echo(told(harm), err=True)
    if few is not None:
        typer.echo(
            f"only {few:,} shops: the gate learns little from so few. It may miss what harms them,"
            " or never be sure: then a person decides (`vigie campaign pass`).",
            err=True,
        )


@campaigns.command("policy")
def show_policy() -> None:
    """Print the policy that a campaign has where nothing else is said, as JSON to start from."""
    from firmware_rollout.policy import Policy, indented

    typer.echo(indented(Policy()))


@campaigns.command("list")
def list_campaigns() -> None:
    """List the campaigns, newest first."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from firmware_rollout.campaigns import list_campaigns as find
    from vigie.commands.campaign_screen import done_text, scope_text, when_text

    with transaction("campaigns") as (conn, _):
        found = find(conn)
    # Narrow enough for 80 columns: the details are `show`'s.
    table = Table("campaign", box=box.SIMPLE_HEAD)
    table.add_column("state", no_wrap=True)
    for title in ("brings", "made", "terminals"):
        table.add_column(title)
    for one in found:
        brings, made = f"{one.release} to {scope_text(one.target)}", when_text(one.created_at)[:10]
        table.add_row(one.name, one.state.replace("_", " "), brings, made, done_text(one.states))
    Console().print(table)


@campaigns.command("show")
def show_campaign(name: NameArgument) -> None:
    """Show a campaign's waves, how far each is, what the gate says, and why terminals moved."""
    from rich.console import Console

    from vigie.commands.campaign_screen import picture, read

    with transaction("campaigns") as (conn, now):
        Console().print(picture(read(conn, name), now))


@campaigns.command("watch")
def watch_campaign(
    name: NameArgument,
    every_s: Annotated[float, typer.Option(min=0.2, help="Seconds between two looks.")] = 2.0,
) -> None:
    """Watch a campaign go on, until it ends or Ctrl-C; where no terminal shows it, each change is a line."""
    import time
    from contextlib import nullcontext, suppress

    from rich.console import Console
    from rich.live import Live

    from fleet.clock import system_clock
    from fleet.settings import ClockSettings
    from fleet.settings import read as read_settings
    from vigie.commands.campaign_screen import ENDED, line, picture, read, when_text

    clock = system_clock(read_settings(ClockSettings).clock_offset_s)
    console, told = Console(), ""
    with suppress(KeyboardInterrupt), connection("campaigns") as (conn, now):
        view = read(conn, name)
        with Live(picture(view, now), console=console, auto_refresh=False) if console.is_terminal else nullcontext() as live:
            while True:
                if live is not None:
                    live.update(picture(view, clock()), refresh=True)
                elif line(view) != told:
                    told = line(view)
                    print(f"{when_text(clock())}  {told}", flush=True)
                if view.campaign.state in ENDED:
                    return
                time.sleep(every_s)
                view = read(conn, name)


@campaigns.command("approve")
def approve_campaign(name: NameArgument, by: ByOption = "", why: WhyOption = "") -> None:
    """Let a drafted campaign begin; not who drafted it."""
    _do(name, "approve", by, why)


@campaigns.command("pause")
def pause_campaign(name: NameArgument, why: WhyOption, by: ByOption = "") -> None:
    """Begin no further terminal, for now."""
    _do(name, "pause", by, why)


@campaigns.command("resume")
def resume_campaign(name: NameArgument, why: WhyOption, by: ByOption = "") -> None:
    """Go on after a pause, or, against the gate, after a halt: it then judges anew."""
    _do(name, "resume", by, why)


@campaigns.command("pass")
def pass_campaign(name: NameArgument, why: WhyOption, by: ByOption = "") -> None:
    """Let the next wave begin although the gate is not sure; where it found harm, only resume goes against it."""
    _do(name, "pass", by, why)


@campaigns.command("halt")
def halt_campaign(name: NameArgument, why: WhyOption, by: ByOption = "") -> None:
    """Offer nothing more, because something is wrong."""
    _do(name, "halt", by, why)


@campaigns.command("abort")
def abort_campaign(name: NameArgument, why: WhyOption, by: ByOption = "") -> None:
    """End it where it stands; terminals on their way are asked to stop."""
    _do(name, "abort", by, why)


@campaigns.command("roll-back")
def roll_back_campaign(name: NameArgument, why: WhyOption, by: ByOption = "") -> None:
    """Bring what ran before back to the terminals that it brought its release; who had the release before keeps it."""
    _do(name, "roll_back", by, why)


@campaigns.command("replay")
def replay_campaign(name: NameArgument) -> None:
    """Judge every stored reading of the gate again: each must come out the same, to the last bit."""
    from firmware_rollout.campaigns import campaign
    from firmware_rollout.gating import replay

    with transaction("campaigns") as (conn, _):
        found = replay(conn, campaign(conn, name).id)
    if found.differs is not None:
        typer.echo(f"reading {found.differs} does not come out as it was stored", err=True)
        raise typer.Exit(1)
    typer.echo(f"{found.readings:,} readings, each comes out as it was stored")


def _do(name: str, asked: str, by: str, why: str) -> None:
    from firmware_rollout.deeds import Deed, do, one_account
    from firmware_rollout.harm import harms, told
    from firmware_rollout.way_back import way_back

    deed = Deed(asked)
    with transaction("campaigns") as (conn, now):
        done = do(conn, name, deed, actor=acting(by), why=why, now=now)
        found_harms = harms(conn, release=done.release) if deed is Deed.APPROVE else []
        plan = way_back(conn, done.id, done.release) if deed is Deed.ROLL_BACK else None
    typer.echo(f"{name} is {done.state.replace('_', ' ')}{_told(plan, done.release) if plan else ''}")
    for harm in found_harms:
        typer.echo(told(harm), err=True)
    if deed is Deed.APPROVE and (one := one_account(done.created_by, done.approved_by)):
        typer.echo(f"made and approved by the one account {one}: nothing proves two people, and the audit says so", err=True)


def _told(plan: "WayBack", release: str) -> str:
    """Whom a roll-back concerns."""
    told = f": {plan.back:,} terminals go back"
    told += f", {plan.had_it:,} ran {release} before and stay" if plan.had_it else ""
    told += f", {plan.stranded:,} have no way back and stay" if plan.stranded else ""
    return told + (f", {plan.on_their_way:,} on their way are asked to stop" if plan.on_their_way else "")


def _read_policy(path: Path | None) -> "Policy | None":
    from firmware_rollout.policy import read_policy
    from fleet.errors import VigieError

    if path is None:
        return None
    try:
        return read_policy(path.read_bytes())
    except OSError as error:
        raise VigieError(f"policy: {path} cannot be read: {error.strerror}") from None
