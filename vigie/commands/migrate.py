"""`vigie migrate`: bring an existing database to this release's schema (`vigie up` and `vigie engines start` do so themselves)."""

import typer


def add_to(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(migrate)


def migrate() -> None:
    """Bring the database of VIGIE_DATABASE_URL to this release's schema; nothing when it is there."""
    from fleet.migrate import migrate as apply
    from fleet.settings import DatabaseSettings, read

    applied = apply(read(DatabaseSettings).database_url.get_secret_value())
    typer.echo(f"schema is up to date ({len(applied)} migrations applied)")
