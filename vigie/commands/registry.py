"""`vigie registry`: bring in points of sale and terminals, and make what the broker needs to know of them."""

import csv
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from fleet.registry_import import Changes, Imported

MOST_PROBLEMS_SHOWN = 50
MOST_NAMES_SHOWN = 10

group = typer.Typer(help="The registry: points of sale, terminals, and their accounts at the broker.", no_args_is_help=True)

PasswordsOut = Annotated[
    Path | None, typer.Option("--passwords", help="New file (mode 0600) for the passwords made now; they are shown nowhere else.")
]


def add_to(app: typer.Typer) -> None:
    """Add the group to the application."""
    app.add_typer(group, name="registry")


@group.command("import")
def import_(
    points_of_sale: Annotated[Path, typer.Argument(help="CSV of the points of sale.")],
    terminals: Annotated[Path, typer.Argument(help="CSV of the terminals.")],
    passwords: PasswordsOut = None,
    remove_absent: Annotated[bool, typer.Option(help="Forget terminals and shops that the files do not name.")] = False,
) -> None:
    """Import both files, all or nothing; known rows are brought up to date."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from fleet.database import connect
    from fleet.errors import RegistryError, VigieError
    from fleet.registry_csv import read_files
    from fleet.registry_import import import_registry
    from fleet.settings import DatabaseSettings, read

    settings = read(DatabaseSettings)
    out, errors = Console(), Console(stderr=True)
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=errors, transient=True
    ) as progress:
        task = progress.add_task("checking the files")
        try:
            files = read_files(points_of_sale, terminals)
        except RegistryError as error:
            progress.stop()
            _show_capped(errors, error.problems, style="red")
            raise VigieError(f"nothing was imported: {len(error.problems)} problems in the files") from None
        with connect(settings.database_url.get_secret_value(), program="registry") as conn:
            done = import_registry(
                conn,
                points_of_sale=files.points_of_sale,
                terminals=files.terminals,
                remove_absent=remove_absent,
                on_step=lambda step: progress.update(task, description=step),
            )
            # Before the commit: a password that was stored but never written down would lock its terminal out.
            if done.passwords:
                write_passwords(passwords, done.passwords)
            conn.commit()
    _show_capped(errors, list(files.warnings), style="yellow")
    _show_import(out, done, passwords)


@group.command()
def rotate_passwords(
    passwords: PasswordsOut = None,
    terminal: Annotated[list[str] | None, typer.Option(help="Only this terminal (may be repeated); default: all.")] = None,
) -> None:
    """Make new broker passwords; the old ones end when the broker has read its new files."""
    from fleet.broker_access import rotate_passwords as rotate
    from fleet.database import connect
    from fleet.settings import DatabaseSettings, read

    settings = read(DatabaseSettings)
    with connect(settings.database_url.get_secret_value(), program="registry") as conn:
        made = rotate(conn, terminals=terminal or None)
        write_passwords(passwords, made)
        conn.commit()
    typer.echo(f"{len(made)} new passwords in {passwords}; now run `vigie registry broker-files` and reload the broker")


@group.command()
def broker_files(
    folder: Annotated[Path, typer.Option(help="Where Mosquitto reads its password_file and acl_file.")],
    services: Annotated[
        Path | None, typer.Option(help="CSV of the programs' own passwords; made if missing. Default: beside the folder's files.")
    ] = None,
) -> None:
    """Write the broker's password file and topic rules from the registry; send the broker a SIGHUP afterwards."""
    from fleet.broker_access import write_files
    from fleet.database import connect
    from fleet.settings import DatabaseSettings, read

    settings = read(DatabaseSettings)
    own = services or folder / "service-passwords.csv"
    with connect(settings.database_url.get_secret_value(), program="registry") as conn:
        count = write_files(conn, folder, service_passwords(own))
    typer.echo(f"{count} terminals' and the programs' accounts written to {folder}; the programs' passwords are in {own}")


def write_passwords(file: Path | None, passwords: Mapping[str, str], *, first_column: str = "terminal") -> None:
    """Write passwords in the clear to a new file that only its owner reads.

    Raises:
        VigieError: no file was named, or it exists: an earlier export, perhaps the only copy, is never overwritten.
    """
    from fleet.errors import VigieError

    if file is None:
        raise VigieError(f"{len(passwords)} passwords are to be made: name a new file for them with --passwords FILE")
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise VigieError(f"{file} exists and may hold the only copy of passwords: name another file") from None
    except OSError as error:
        raise VigieError(f"{file} cannot be written: {error.strerror}") from None
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as content:
        writer = csv.writer(content, lineterminator="\n")
        writer.writerow((first_column, "password"))
        writer.writerows(passwords.items())
        content.flush()
        os.fsync(content.fileno())


def service_passwords(file: Path) -> dict[str, str]:
    """The programs' passwords from the file; accounts it lacks are made and added, as after an update that brought one."""
    from fleet.broker_access import SERVICE_RULES
    from fleet.errors import VigieError

    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_passwords(file, {name: secrets.token_urlsafe(24) for name in SERVICE_RULES}, first_column="account")
    with file.open(encoding="utf-8-sig", newline="") as content:
        try:
            passwords = {row["account"]: row["password"] for row in csv.DictReader(content)}
        except KeyError as error:
            raise VigieError(f"{file}: column {error} missing: the first line must be account,password") from None
    made = {name: secrets.token_urlsafe(24) for name in SERVICE_RULES if name not in passwords}
    if made:
        _add_passwords(file, made)
    return passwords | made


def _add_passwords(file: Path, made: dict[str, str]) -> None:
    from fleet.errors import VigieError

    try:
        with file.open("a+", encoding="utf-8", newline="") as content:
            content.seek(0)
            if not content.read().endswith("\n"):
                content.write("\n")
            csv.writer(content, lineterminator="\n").writerows(made.items())
            content.flush()
            os.fsync(content.fileno())
    except OSError as error:
        raise VigieError(f"{file}: add passwords for {', '.join(made)}; it cannot be written here: {error.strerror}") from None


def _show_import(console: "Console", done: "Imported", passwords: Path | None) -> None:
    from rich.table import Table

    table = Table("", "new", "changed", "as before", "no longer in the file")
    for name, changes in (("points of sale", done.points_of_sale), ("terminals", done.terminals)):
        table.add_row(
            name, *(f"{n:,}" for n in (changes.added, changes.changed, changes.unchanged)), _absent(changes, done.removed)
        )
    console.print(table)
    if done.passwords:
        console.print(f"{len(done.passwords):,} passwords in {passwords}: hand them to the terminals and delete the file.")
        console.print("The broker knows them after `vigie registry broker-files` and a reload.")


def _absent(changes: "Changes", removed: bool) -> str:
    if not changes.absent:
        return "0"
    names = ", ".join(changes.absent[:MOST_NAMES_SHOWN]) + (" …" if len(changes.absent) > MOST_NAMES_SHOWN else "")
    return f"{len(changes.absent):,} {'removed' if removed else 'kept'}: {names}"


def _show_capped(console: "Console", lines: list[str], *, style: str) -> None:
    for line in lines[:MOST_PROBLEMS_SHOWN]:
        console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)
    if len(lines) > MOST_PROBLEMS_SHOWN:
        console.print(f"… and {len(lines) - MOST_PROBLEMS_SHOWN:,} more", style=style)
