"""Bring the engines: Debian 13's own packages, unpacked into a private folder and made to run there.

Everything is prepared in a temporary folder beside the final one, which appears by a rename: a broken download, a full
disk or a killed process leaves nothing half-made. A lock keeps two set-ups from doing the work twice.
"""

import fcntl
import json
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fleet.errors import VigieError
from vigie.engines.apt import Mirror, Package, PrivateApt, machine_mirror, unpack
from vigie.engines.layout import (
    EngineSettings,
    Layout,
    fetched_layout,
    make_folder,
    private_layout,
    private_root,
    system_layout,
)

SUITE = "trixie"
WANTED = ("postgresql-17-timescaledb", "mosquitto", "mosquitto-clients")
# Half of the closure's bytes serve maintainer scripts, the just-in-time compiler (off) and locales (C.UTF-8 is built in).
UNNEEDED = re.compile(r"^(perl|libperl|libllvm|libz3|locales|libc-l10n|adduser|passwd|debconf|procps|openssl$)|-perl$")
UNNEEDED_FOLDERS = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/lintian")
MANIFEST = "manifest.json"

Report = Callable[[str], None]


def fetch_engines(settings: EngineSettings, report: Report) -> Layout:
    """Make sure the engines are on this machine; instantaneous when they are.

    Args:
        settings: where they come from and where they go.
        report: called with one line per step.

    Raises:
        VigieError: they cannot be had; nothing half-made stays behind.
    """
    if layout := _present(settings):
        return layout
    root = private_root(settings.cache())
    make_folder(root.parent)
    with _lock(root.parent / ".lock", report):
        if layout := _present(settings):
            return layout
        for left_over in root.parent.glob(".unpacking-*"):
            shutil.rmtree(left_over)
        with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=root.parent) as temporary:
            Path(temporary).chmod(0o755)
            _build(Path(temporary), root, settings, report)
    report(f"engines are in {root}")
    return private_layout(root)


def wanted(closure: Sequence[Package]) -> list[Package]:
    """The packages of a closure that the engines need to run."""
    return [package for package in closure if not UNNEEDED.search(package.name)]


def manifest(settings: EngineSettings) -> dict[str, str]:
    """The versions of the unpacked packages; empty when there are none."""
    file = private_root(settings.cache()) / MANIFEST
    return dict(json.loads(file.read_text())) if file.exists() else {}


def _present(settings: EngineSettings) -> Layout | None:
    if settings.engines_from != "system" and (layout := fetched_layout(settings.cache())):
        return layout
    if settings.engines_from == "private":
        return None
    layout = system_layout()
    if layout is None and settings.engines_from == "system":
        raise VigieError("VIGIE_ENGINES_FROM is `system`, but postgresql-17-timescaledb and mosquitto >= 2.0.21 are not installed")
    return layout


def _build(temporary: Path, root: Path, settings: EngineSettings, report: Report) -> None:
    mirror = Mirror(settings.debian_mirror.rstrip("/"), "") if settings.debian_mirror else machine_mirror()
    report(f"reading Debian {SUITE}'s package lists from {mirror.main}")
    apt = PrivateApt(make_folder(temporary / "apt"), suite=SUITE, mirror=mirror)
    apt.update()
    packages = wanted(apt.closure(WANTED))
    report(f"downloading {len(packages)} packages (about 50 MB)")
    files = apt.download(packages, make_folder(temporary / "packages"))
    report(f"unpacking {len(files)} packages")
    unpacked = make_folder(temporary / "root")
    for file in files:
        unpack(file, unpacked)
    unpacked.chmod(0o755)
    _drop_set_id_bits(unpacked)
    for folder in UNNEEDED_FOLDERS:
        shutil.rmtree(unpacked / folder, ignore_errors=True)
    report("pointing the programs at their own libraries")
    point_at_own_libraries(unpacked, root)
    (unpacked / MANIFEST).write_text(json.dumps({p.name: p.version for p in packages}, indent=1))
    unpacked.rename(root)
    _try_out(root, temporary)


def point_at_own_libraries(unpacked: Path, final: Path) -> None:
    """Set each program's interpreter and a forced rpath to the folder's own libc and libraries.

    The rpath is forced (DT_RPATH, not DT_RUNPATH) because it must also serve the libraries' own needs and the
    modules that PostgreSQL loads.
    """
    layout = private_layout(unpacked)
    programs = [f for f in (*layout.postgres_bin.iterdir(), *layout.mosquitto_sub.parent.glob("mosquitto*")) if _is_elf(f)]
    programs.append(layout.mosquitto)
    interpreter = _patchelf("--print-interpreter", str(layout.mosquitto)).strip()
    own = next((f for f in (unpacked / interpreter[1:], unpacked / "usr" / interpreter[1:]) if f.exists()), None)
    if own is None:
        raise VigieError(f"the unpacked engines hold no {interpreter}")
    libraries = sorted({f.parent.relative_to(unpacked) for f in unpacked.glob("**/lib*.so*") if f.parent.name != "lib"})
    libraries = [f for f in libraries if "-linux-" in f.name]
    rpath = ":".join(str(final / f) for f in (*libraries, layout.postgres_bin.parent.relative_to(unpacked) / "lib"))
    target = str(final / own.relative_to(unpacked))
    _patchelf("--set-interpreter", target, "--force-rpath", "--set-rpath", rpath, *map(str, programs))


def _try_out(root: Path, temporary: Path) -> None:
    layout = private_layout(root)
    try:
        for program in (layout.postgres_bin / "postgres", layout.mosquitto_sub):
            done = subprocess.run([program, "--version"], check=False, capture_output=True, text=True)
            # mosquitto_sub answers --version with status 1.
            if "17." not in done.stdout and "mosquitto_sub version" not in done.stdout:
                raise VigieError(f"the unpacked {program} does not run: {(done.stderr or done.stdout).strip()[-300:]}")
    except BaseException:
        root.rename(temporary / "broken")
        raise


def _patchelf(*arguments: str) -> str:
    beside = Path(sys.executable).parent / "patchelf"
    program = str(beside) if beside.exists() else shutil.which("patchelf")
    if program is None:
        raise VigieError("patchelf is missing: run `make setup`")
    done = subprocess.run([program, *arguments], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise VigieError(f"patchelf failed: {done.stderr.strip()[-300:]}")
    return done.stdout


def _drop_set_id_bits(folder: Path) -> None:
    """A private folder must offer nobody a program that runs as another user."""
    for file in folder.rglob("*"):
        if not file.is_symlink() and (mode := file.stat().st_mode) & (stat.S_ISUID | stat.S_ISGID):
            file.chmod(stat.S_IMODE(mode) & 0o777)


def _is_elf(file: Path) -> bool:
    if not file.is_file():
        return False
    with file.open("rb") as content:
        return content.read(4) == b"\x7fELF"


@contextmanager
def _lock(file: Path, report: Report) -> Iterator[None]:
    with file.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("waiting for another set-up of the engines to end")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
