"""`vigie audit`: whether the rollout's audit is whole."""

from typing import Annotated

import typer

from vigie.commands.transaction import transaction

audit = typer.Typer(help="The rollout's audit: who did what, and every automatic decision.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add the group to the application."""
    app.add_typer(audit, name="audit")


@audit.command("verify")
def verify_audit(
    *,
    number: Annotated[int | None, typer.Option(min=1, help="A row whose hash you kept: it must still stand there.")] = None,
    kept: Annotated[str, typer.Option("--hash", help="That row's hash, 64 hexadecimal digits.")] = "",
) -> None:
    """Follow the chain of hashes, and compare the gate's readings with it.

    Keep the newest row's number and hash elsewhere: by them, who rewrites the whole audit or cuts off its end is found out too.
    """
    from firmware_rollout.audit import is_in, verify
    from fleet.errors import VigieError

    if (number is None) != (not kept):
        raise VigieError("hash: name a row's number and its hash together")
    try:
        hash_ = bytes.fromhex(kept)
    except ValueError:
        raise VigieError(f"hash: {kept!r} is no hexadecimal number") from None
    with transaction("audit") as (conn, _):
        found = verify(conn)
        stands = number is None or is_in(conn, number=number, hash_=hash_)
    if found.bad is not None:
        typer.echo(f"row {found.bad} does not follow from the one before: the audit was tampered with from there on", err=True)
        raise typer.Exit(1)
    if not stands:
        gone = number is not None and number > found.rows
        what = f"is gone: there are {found.rows:,} rows" if gone else "has another hash: the audit was written anew"
        typer.echo(f"row {number} {what}", err=True)
        raise typer.Exit(1)
    if found.reading is not None:
        typer.echo(f"reading {found.reading} of the gate is not what the audit says of it, or one of them is gone", err=True)
        raise typer.Exit(1)
    typer.echo(f"{found.rows:,} rows, each follows from the one before; the newest hash is {found.head.hex()}")
