"""Where the engines are unpacked, where data is kept, and which unprivileged user owns it.

An engine drops to an unprivileged user when Vigie runs as root, so neither folder may stand in a root-only home.
"""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from fleet.errors import VigieError
from fleet.settings import VigieSettings
from vigie.engines.apt import debian_architecture

POSTGRES_MAJOR = 17
# In this order: a real installation's own user, Debian's database user, the user that owns nothing.
UNPRIVILEGED_USERS = ("vigie", "postgres", "nobody")


class EnginesMissingError(VigieError):
    """The engines are not on this machine yet."""


class EngineSettings(VigieSettings):
    """Where the embedded engines come from and where they stand."""

    cache_dir: Path | None = Field(
        None, description="Folder of the unpacked engines; default /var/cache/vigie for root, else the XDG cache."
    )
    state_dir: Path | None = Field(
        None, description="Folder of data and logs; default /var/lib/vigie for root, else the XDG state."
    )
    debian_mirror: str = Field(
        "", description="Debian mirror the engines are fetched from; default: the one this machine's apt uses."
    )
    engines_from: str = Field(
        "auto",
        pattern="^(auto|private|system)$",
        description="`private`: always unpack our own; `system`: use the installed packages; `auto`: whichever is there.",
    )

    terminals_certificate_file: Path | None = Field(
        None, description="Certificate chain (PEM) that the embedded broker shows to terminals; empty: no TLS."
    )
    terminals_key_file: Path | None = Field(None, description="Private key (PEM) of that certificate.")

    @model_validator(mode="after")
    def _certificate_and_key_go_together(self) -> Self:
        if (self.terminals_certificate_file is None) != (self.terminals_key_file is None):
            raise ValueError("VIGIE_TERMINALS_CERTIFICATE_FILE and VIGIE_TERMINALS_KEY_FILE go together")
        return self

    def cache(self) -> Path:
        """The cache folder, absolute; it need not exist."""
        return _folder(self.cache_dir, Path("/var/cache/vigie"), "XDG_CACHE_HOME", ".cache")

    def state(self) -> Path:
        """The state folder, absolute; it need not exist."""
        return _folder(self.state_dir, Path("/var/lib/vigie"), "XDG_STATE_HOME", ".local/state")


@dataclass(frozen=True)
class RunAs:
    """The user an engine runs as; `uid` is None where this process's own user serves."""

    uid: int | None
    gid: int | None
    name: str


@dataclass(frozen=True)
class Layout:
    """The programs of one set of engines."""

    postgres_bin: Path
    mosquitto: Path
    mosquitto_passwd: Path
    mosquitto_sub: Path
    mosquitto_pub: Path

    def problems(self) -> list[str]:
        """What is missing, one line each; nothing when the engines can run."""
        programs = [self.postgres_bin / "postgres", self.postgres_bin / "initdb", self.mosquitto, self.mosquitto_passwd]
        return [f"{program} is missing" for program in programs if not program.exists()]


def private_root(cache: Path) -> Path:
    """The folder the engines are unpacked into; its name changes when the recipe does."""
    return cache / "engines" / f"trixie-pg{POSTGRES_MAJOR}-{debian_architecture()}-1"


def private_layout(root: Path) -> Layout:
    """The programs under an unpacked root."""
    return Layout(
        postgres_bin=root / f"usr/lib/postgresql/{POSTGRES_MAJOR}/bin",
        mosquitto=root / "usr/sbin/mosquitto",
        mosquitto_passwd=root / "usr/bin/mosquitto_passwd",
        mosquitto_sub=root / "usr/bin/mosquitto_sub",
        mosquitto_pub=root / "usr/bin/mosquitto_pub",
    )


def system_layout() -> Layout | None:
    """The machine's own packages, if they are complete and new enough (Debian 13)."""
    layout = private_layout(Path("/"))
    control = Path(f"/usr/share/postgresql/{POSTGRES_MAJOR}/extension/timescaledb.control")
    if layout.problems() or not control.exists() or not layout.mosquitto_sub.exists():
        return None
    # An older broker knows no per-listener client ids worth trusting and has known holes.
    newer = subprocess.run(["dpkg", "--compare-versions", _installed_version("mosquitto"), "ge", "2.0.21"], check=False)
    return layout if newer.returncode == 0 else None


def find_layout(settings: EngineSettings) -> Layout:
    """The engines to use on this machine.

    Raises:
        EnginesMissingError: neither fetched nor installed.
    """
    if settings.engines_from != "system" and (layout := fetched_layout(settings.cache())):
        return layout
    if settings.engines_from != "private" and (system := system_layout()):
        return system
    raise EnginesMissingError(
        f"the engines are not in {private_root(settings.cache())}: run `vigie engines fetch` first"
        if settings.engines_from != "system"
        else "VIGIE_ENGINES_FROM is `system`, but postgresql-17-timescaledb and mosquitto >= 2.0.21 are not installed"
    )


def fetched_layout(cache: Path) -> Layout | None:
    """The unpacked engines, if they are there (a folder appears only when it is whole)."""
    layout = private_layout(private_root(cache))
    return None if layout.problems() else layout


def engine_user(data: Path) -> RunAs:
    """Who runs an engine on this data: its owner if it exists already, else the first unprivileged user there is."""
    if os.geteuid() != 0:
        return RunAs(None, None, pwd.getpwuid(os.geteuid()).pw_name if _has_name(os.geteuid()) else str(os.geteuid()))
    if data.exists() and (owner := data.stat().st_uid) != 0 and _has_name(owner):
        entry = pwd.getpwuid(owner)
        return RunAs(entry.pw_uid, entry.pw_gid, entry.pw_name)
    for name in UNPRIVILEGED_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return RunAs(entry.pw_uid, entry.pw_gid, entry.pw_name)
    raise VigieError(f"no unprivileged user on this machine: none of {', '.join(UNPRIVILEGED_USERS)}")


def give(path: Path, user: RunAs, *, mode: int) -> None:
    """Make a file or folder the engine's own, with these permissions."""
    path.chmod(mode)
    if user.uid is not None and user.gid is not None:
        os.chown(path, user.uid, user.gid)


def make_folder(path: Path, user: RunAs | None = None, *, mode: int = 0o755) -> Path:
    """Create a folder (and its parents, open to passage) if missing; hand it to `user` if given."""
    missing = [p for p in (path, *path.parents) if not p.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for created in missing:
        created.chmod(0o755)
    if user is not None:
        give(path, user, mode=mode)
    elif path in missing:
        path.chmod(mode)
    return path


def _installed_version(package: str) -> str:
    query = ["dpkg-query", "--show", "--showformat=${Version}", package]
    return subprocess.run(query, check=False, capture_output=True, text=True).stdout or "0"


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _folder(setting: Path | None, for_root: Path, xdg_variable: str, xdg_default: str) -> Path:
    if setting is not None:
        return setting.absolute()
    if os.geteuid() == 0:
        return for_root
    base = os.environ.get(xdg_variable) or Path.home() / xdg_default
    return Path(base).absolute() / "vigie"
