"""`vigie status`: what flows, how far behind it is, who is online, and what could not be read."""

import json
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

    from diagnostics.health import Counts
    from fleet.database import Connection
    from fleet.status import DeadLetters, FleetStatus

WATCH_EVERY_S = 2.0
# The fleet's closed terminals report every five minutes, open ones twice a minute: a minute without any batch is a fault.
LATE_BATCH_S = 60.0
LONGEST_DETAIL = 70


def add_to(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(status)


def status(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of tables.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Look again every two seconds, until Ctrl-C.")] = False,
) -> None:
    """Show rates, lag, presence, health, dead letters and sizes."""
    from diagnostics import health
    from fleet.clock import system_clock
    from fleet.database import connect
    from fleet.errors import VigieError
    from fleet.settings import ClockSettings, DatabaseSettings, read
    from fleet.status import read_status

    if as_json and watch:
        raise VigieError("--json and --watch exclude each other: call `vigie status --json` as often as you like")
    clock = system_clock(read(ClockSettings).clock_offset_s)
    url = read(DatabaseSettings).database_url.get_secret_value()

    def look(conn: "Connection") -> tuple["FleetStatus", "Counts"]:
        now = clock()
        return read_status(conn, now=now), health.counts(conn, now=now)

    with connect(url, program="status", autocommit=True) as conn:
        if as_json:
            typer.echo(as_document(*look(conn)))
        elif watch:
            _watch(conn, look)
        else:
            from rich.console import Console

            Console().print(as_tables(*look(conn)))


def as_document(fleet: "FleetStatus", states: "Counts") -> str:
    """The status as JSON, times in ISO 8601."""
    document = asdict(fleet) | {
        "health": {str(state): count for state, count in states.states.items()},
        "judged_at": states.judged_at,
    }
    return json.dumps(document, default=_json_value, indent=1, ensure_ascii=False)


def as_tables(fleet: "FleetStatus", states: "Counts") -> "RenderableType":
    """The status for people."""
    from rich.console import Group
    from rich.table import Table

    ingest = fleet.ingest
    flow = Table(
        show_header=False, box=None, padding=(0, 2), title=f"Vigie at {fleet.at:%Y-%m-%d %H:%M:%S} UTC", title_justify="left"
    )
    flow.add_row("received", f"{ingest.samples_per_s:,.1f} samples/s, {ingest.messages_per_s:,.1f} messages/s over the last minute")
    flow.add_row("workers", ", ".join(ingest.workers) or "[red]none committed within the last minute[/]")
    flow.add_row("newest batch", _age(ingest.newest_batch_age_s))
    flow.add_row("newest sample", _age(ingest.newest_sample_age_s))
    flow.add_row("online", f"{fleet.online:,} of {fleet.registered:,} terminals")
    flow.add_row("health", ", ".join(f"{count:,} {state}" for state, count in states.states.items()))
    flow.add_row("judged", _age((fleet.at - states.judged_at).total_seconds() if states.judged_at else None))
    flow.add_row("roll-up", f"{fleet.rollup_backlog:,} marks due")
    sizes = ", ".join(f"{name} {_size(size)}" for name, size in fleet.table_bytes.items())
    flow.add_row("stored", f"{_size(fleet.database_bytes)}, of which {sizes}")
    return Group(flow, "", _dead_letters(fleet.dead_letters, fleet.at))


def _dead_letters(letters: "list[DeadLetters]", now: datetime) -> "RenderableType":
    from rich.markup import escape
    from rich.table import Table

    if not letters:
        return "  no dead letters within a day"
    table = Table("dead letters", "last hour", "last day", "newest", "its topic", "what is wrong")
    for letter in letters:
        ago = str(timedelta(seconds=round((now - letter.newest_at).total_seconds())))
        # The topic and the words of an error come from outside: they must not paint the terminal.
        topic, detail = (escape(_printable(text)) for text in (letter.newest_topic, letter.newest_detail))
        table.add_row(letter.reason, f"{letter.last_hour:,}", f"{letter.last_day:,}", f"{ago} ago", topic, detail)
    return table


def _watch(conn: "Connection", look: Any) -> None:
    import time

    from rich.live import Live

    with Live(as_tables(*look(conn)), screen=True, auto_refresh=False) as live:
        try:
            while True:
                time.sleep(WATCH_EVERY_S)
                live.update(as_tables(*look(conn)), refresh=True)
        except KeyboardInterrupt:
            return


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "[red]none[/]"
    text = f"{seconds:,.1f} s ago" if seconds < 120 else f"{timedelta(seconds=round(seconds))} ago"
    return f"[red]{text}[/]" if seconds > LATE_BATCH_S else text


def _size(count: int) -> str:
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:,.0f} {unit}"
        amount /= 1000
    return f"{amount:,.1f} TB"


def _printable(text: str) -> str:
    shown = "".join(c if c.isprintable() else "·" for c in text)
    return shown if len(shown) <= LONGEST_DETAIL else shown[: LONGEST_DETAIL - 1] + "…"


def _json_value(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"no JSON form for {type(value).__name__}")
