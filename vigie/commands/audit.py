"""`vigie audit`: whether the rollout's audit is whole."""

import typer

from vigie.commands.transaction import transaction

audit = typer.Typer(help="The rollout's audit: who did what, and every automatic decision.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add the group to the application."""
    app.add_typer(audit, name="audit")


@audit.command("verify")
def verify_audit() -> None:
    """Follow the chain of hashes; keep the newest one elsewhere, and who rewrites the whole audit is found out too."""
    from firmware_rollout.audit import verify

    with transaction("audit") as (conn, _):
        found = verify(conn)
    if found.bad is not None:
        typer.echo(f"row {found.bad} does not follow from the one before: the audit was tampered with from there on", err=True)
        raise typer.Exit(1)
    typer.echo(f"{found.rows:,} rows, each follows from the one before; the newest hash is {found.head.hex()}")
