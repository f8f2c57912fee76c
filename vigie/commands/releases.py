"""`vigie release`: which firmware there is; and the maker's side of it, which needs files and keys but no database."""

from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vigie.commands.acting import acting
from vigie.commands.transaction import transaction

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

    from firmware_rollout.releases import Release
    from firmware_rollout.settings import ReleaseSettings
    from firmware_rollout.trust.signing import Statement
    from fleet.database import Connection

releases = typer.Typer(help="Firmware releases.", no_args_is_help=True)
KeysOption = Annotated[Path, typer.Option("--keys", help="Folder with the keys (PEM) and the current root.json.")]
OutOption = Annotated[Path, typer.Option("--out", help="The maker's targets.json: what was signed before is carried on.")]


def add_to(app: typer.Typer) -> None:
    """Add the group to the application."""
    app.add_typer(releases, name="release")


@releases.command("keys")
def make_keys(out: Annotated[Path, typer.Option(help="A new folder, outside of any repository.")]) -> None:
    """Make every key and the first root (the maker, once, off the network)."""
    from firmware_rollout.trust.keys import make_keys as make

    make(out, now=_now())
    typer.echo(f"{out}/online: Vigie's keys, for the folder that VIGIE_RELEASE_KEYS names; root.json is for `vigie release trust`")
    typer.echo(
        f"{out}/offline: the maker's; give root-1 to 3 and targets-1 to 3 to different hands, off the network, each with root.json"
    )


@releases.command("rotate")
def rotate_keys(
    names: Annotated[list[str], typer.Argument(help="Lost or stolen keys: targets-2, snapshot …")],
    keys: KeysOption,
    out: Annotated[Path, typer.Option(help="A new folder for the new keys and the next root.json.")],
) -> None:
    """Replace lost or stolen keys by new ones, and sign the next root (the maker)."""
    from firmware_rollout.trust.keys import replace_keys

    replace_keys(keys, names, out=out, now=_now())
    typer.echo(f"{out}/root.json revokes {', '.join(names)}: `vigie release trust {out}/root.json`, and copy it beside every key")


@releases.command("sign")
def sign_release(
    *,
    file: Annotated[Path, typer.Argument(help="The firmware file.")],
    version: Annotated[str, typer.Option(help="For example 4.3.0.")],
    models: Annotated[list[str], typer.Option("--models", "--model", help="A model that it fits (may be repeated).")],
    hw: Annotated[list[str], typer.Option(help="Hardware that it fits (may be repeated).")],
    keys: KeysOption,
    out: OutOption,
    notes: Annotated[str, typer.Option(help="What it changes.")] = "",
) -> None:
    """Say what a release is and sign it, with whichever of the targets keys are in the folder (the maker)."""
    from firmware_rollout.trust import signing
    from firmware_rollout.trust.keys import read_metadata

    before = read_metadata(out) if out.exists() else None
    facts = signing.describe(file, version=version, models=models, hw=hw, notes=notes)
    root, signers = _maker(keys)
    _write(out, signing.sign_release(facts, root=root, signers=signers, before=before, now=_now()))


@releases.command("cosign")
def cosign(targets: Annotated[Path, typer.Argument(help="What the first holder signed.")], keys: KeysOption) -> None:
    """Add the signatures of another holder's keys (the maker)."""
    from firmware_rollout.trust import signing
    from firmware_rollout.trust.keys import read_metadata

    body = read_metadata(targets)
    for line in signing.described(body):
        typer.echo(line)
    root, signers = _maker(keys)
    _write(targets, signing.cosign(body, root=root, signers=signers))


@releases.command("resign")
def resign(
    out: OutOption,
    keys: KeysOption,
    without: Annotated[str, typer.Option(help="Leave out this version, which was withdrawn.")] = "",
) -> None:
    """Sign what was signed before once more: against its expiry, or to leave out a withdrawn version (the maker)."""
    from firmware_rollout.trust import signing
    from firmware_rollout.trust.keys import read_metadata

    root, signers = _maker(keys)
    _write(out, signing.sign_again(root=root, signers=signers, before=read_metadata(out), without=without or None, now=_now()))


@releases.command("trust")
def trust(root: Annotated[Path, typer.Argument(help="root.json, from `vigie release keys` or `rotate`.")]) -> None:
    """Trust the maker's root: the first on your word, each later one because the keys before it say so."""
    from firmware_rollout.release_deeds import trust as do
    from firmware_rollout.trust.keys import read_metadata

    with transaction("releases") as (conn, now):
        stored = do(conn, read_metadata(root), actor=acting(), now=now)
        _renew(conn, now)
    typer.echo(f"root {stored.version} is trusted, until {stored.expires_at:%Y-%m-%d}")


@releases.command("add")
def add_release(
    targets: Annotated[Path, typer.Option(help="The maker's signed targets.json.")],
    file: Annotated[Path | None, typer.Argument(help="The firmware file; none where the metadata brings no new release.")] = None,
) -> None:
    """Add a signed release: checked, its file kept, and offered to campaigns."""
    from firmware_rollout.artifacts import open_store
    from firmware_rollout.release_deeds import take_in
    from firmware_rollout.trust.keys import read_metadata

    with closing(open_store(_settings())) as store, transaction("releases") as (conn, now):
        release = take_in(conn, store, file=file, targets=read_metadata(targets), actor=acting(), now=now)
        _renew(conn, now)
    typer.echo(
        f"release {release.version} added, for model {', '.join(release.models)}" if release else "the metadata was taken in"
    )


@releases.command("declare")
def declare_release(
    version: Annotated[str, typer.Argument(help="For example 4.2.1.")],
    model: Annotated[list[str], typer.Option(help="A model that it fits (may be repeated).")],
    notes: Annotated[str, typer.Option(help="What it is.")] = "",
) -> None:
    """Name a version without a file, because terminals came with it; no campaign can bring it."""
    from firmware_rollout.release_deeds import declare

    with transaction("releases") as (conn, now):
        release = declare(conn, version=version, models=model, notes=notes, actor=acting(), now=now)
    typer.echo(f"release {release.version} declared, for model {', '.join(release.models)}")


@releases.command("list")
def list_releases() -> None:
    """List the releases, the latest version first."""
    from rich.console import Console
    from rich.table import Table

    from firmware_rollout.harm import by_release, harms
    from firmware_rollout.releases import list_releases as find
    from firmware_rollout.trust.metadata_store import newest
    from firmware_rollout.trust.online import expiring

    with transaction("releases") as (conn, now):
        found = find(conn)
        harmful = by_release(harms(conn))
        ending = expiring(newest(conn), now=now)
    table = Table("version", "models", "hardware", "file", "added", "notes")
    for release in found:
        state = "withdrawn" if release.withdrawn_at else f"{release.file.length:,} B" if release.file else "none"
        state += ", does harm" if release.version in harmful else ""
        table.add_row(release.version, ", ".join(release.models), _any(release.hw), state, _when(release.added_at), release.notes)
    Console().print(table)
    for role, at in ending.items():
        typer.echo(f"the {role} metadata expires on {at:%Y-%m-%d}: its keys' holders must sign anew (docs/rollout.md)", err=True)


@releases.command("show")
def show_release(version: Annotated[str, typer.Argument(help="For example 4.3.0.")]) -> None:
    """Show a release with its hashes."""
    from firmware_rollout.harm import harms, told
    from firmware_rollout.releases import release_of

    with transaction("releases") as (conn, _):
        _show(release_of(conn, version))
        for harm in harms(conn, release=version):
            typer.echo(told(harm))


@releases.command("withdraw")
def withdraw_release(
    version: Annotated[str, typer.Argument(help="For example 4.3.0.")],
    why: Annotated[str, typer.Option(help="The reason, for whoever finds it withdrawn.")],
) -> None:
    """Offer and serve a release no more; what runs it goes on running it, and the maker has yet to leave it out."""
    from firmware_rollout.release_deeds import withdraw

    with transaction("releases") as (conn, now):
        withdraw(conn, version, why=why, actor=acting(), now=now)
    typer.echo(f"release {version} is withdrawn: Vigie offers and serves it no more, and campaigns that bring it halt")
    typer.echo(
        "terminals still believe it until the maker signs without it:"
        f" `vigie release resign --without {version}`, `cosign`, then `vigie release add --targets targets.json`"
    )


def _maker(keys: Path) -> tuple[bytes, list["CryptoSigner"]]:
    """The root, and those of the targets keys that the folder holds."""
    from tuf.api.metadata import Root

    from firmware_rollout.trust.keys import parsed, read_root, signers_of

    root = read_root(keys)
    return root, signers_of(keys, parsed(Root, root, "root").signed, "targets")


def _write(out: Path, statement: "Statement") -> None:
    part = out.with_name(f"{out.name}.part")
    part.write_bytes(statement.body)
    part.replace(out)
    missing = statement.threshold - statement.signatures
    more = (
        f"; {missing} more must sign: `vigie release cosign {out} --keys …`" if missing > 0 else "; ready for `vigie release add`"
    )
    typer.echo(f"{out}: {statement.signatures} of {statement.threshold} signatures{more}")


def _renew(conn: "Connection", now: datetime) -> None:
    """With the keys at hand devices learn of it at once; else `vigie rollout` signs, which has them."""
    from firmware_rollout.trust.online import renew

    if keys := _settings().release_keys:
        renew(conn, keys=Path(keys), now=now)


def _show(release: "Release") -> None:
    lines = [f"{release.version}: models {', '.join(release.models)}, hardware {_any(release.hw)}, added {_when(release.added_at)}"]
    if release.notes:
        lines.append(release.notes)
    if release.file is None:
        lines.append("no file: it was declared, terminals came with it")
    else:
        file = release.file
        lines += [f"{file.filename}, {file.length:,} bytes", f"sha256 {file.sha256}", f"sha1   {file.sha1}"]
    if release.withdrawn_at is not None:
        lines.append(f"withdrawn {_when(release.withdrawn_at)}: {release.withdrawn_why}")
    typer.echo("\n".join(lines))


def _any(hw: list[str]) -> str:
    return ", ".join(hw) or "any"


def _settings() -> "ReleaseSettings":
    from firmware_rollout.settings import ReleaseSettings
    from fleet.settings import read

    return read(ReleaseSettings)


def _now() -> datetime:
    from fleet.clock import system_clock
    from fleet.settings import ClockSettings, read

    return system_clock(read(ClockSettings).clock_offset_s)()


def _when(moment: datetime) -> str:
    from firmware_rollout.campaigns import HOME

    return moment.astimezone(HOME).strftime("%Y-%m-%d %H:%M")
