"""`vigie report`: what one day was, for those who watch."""

from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fleet.errors import VigieError
from vigie.commands.transaction import transaction

if TYPE_CHECKING:
    from fleet.database import Connection

group = typer.Typer(help="Reports made of what is stored.", no_args_is_help=True)


class Language(StrEnum):
    """What a report can be written in."""

    FR = "fr"
    EN = "en"


def add_to(app: typer.Typer) -> None:
    """Add the group to the application."""
    app.add_typer(group, name="report")


@group.callback()
def reports() -> None:
    """Keep `veille` a command of its own, however few reports there are."""


@group.command()
def veille(
    *,
    day: Annotated[str, typer.Option(help="The day of Paris, YYYY-MM-DD; also today, as far as it went.")],
    out: Annotated[Path | None, typer.Option(help="Folder for report.html and the CSV files; default: veille-DAY.")] = None,
    language: Annotated[Language, typer.Option(help="The report's language.")] = Language.FR,
) -> None:
    """Write one day's incidents, symptoms, calls by typology, what is new and what grows: an HTML page and CSV files."""
    from rich.console import Console

    from diagnostics.typologies.report import gather, write_csv
    from diagnostics.typologies.report_page import render

    asked, folder = _day(day), out or Path(f"veille-{day}")
    with Console(stderr=True).status("") as status, transaction("report") as (conn, now):
        report = gather(
            conn,
            day=asked,
            now=now,
            language=language.value,
            heard=_heard(conn, asked),
            tell=lambda what: status.update(f"reading {what} …"),
        )
        status.update("writing …")
        try:
            written = write_csv(report, folder)
            page = folder / "report.html"
            page.write_text(render(report), encoding="utf-8")
        except OSError as error:
            raise VigieError(f"--out: {folder} cannot be written: {error.strerror}") from None
    typer.echo(f"{page}: {len(report.incidents):,} incidents, {len(report.symptoms):,} symptoms, {len(report.calls):,} calls")
    typer.echo(f"{folder}: {', '.join(path.name for path in written)}")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise VigieError(f"--day: {text!r} is no day; write YYYY-MM-DD, for example 2026-11-23") from None


def _heard(conn: "Connection", day: date) -> int:
    """How many calls came in that day, also those of no known shop."""
    from diagnostics.typologies.daily import bounds_of
    from hotline.calls import count_calls

    start, end = bounds_of(day)
    return count_calls(conn, since=start, until=end)
