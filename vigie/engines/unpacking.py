"""Debian's own packages of any suite, unpacked into a private folder and made to run there with their own libc.

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
from dataclasses import dataclass
from pathlib import Path

from fleet.errors import VigieError
from vigie.engines.apt import Mirror, Package, PrivateApt, machine_mirror, unpack
from vigie.engines.layout import EngineSettings, make_folder

# Half of a closure's bytes serve maintainer scripts, the just-in-time compiler (off) and locales (C.UTF-8 is built in).
UNNEEDED = re.compile(r"^(perl|libperl|libllvm|libz3|locales|libc-l10n|adduser|passwd|debconf|procps|openssl$)|-perl$")
UNNEEDED_FOLDERS = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/lintian")
MANIFEST = "manifest.json"

Report = Callable[[str], None]


@dataclass(frozen=True)
class Trial:
    """A program that must say something when asked, before its folder counts as whole."""

    command: Sequence[str | Path]
    says: str


@dataclass(frozen=True)
class Recipe:
    """What is unpacked from which suite, and what of it runs; paths are under an unpacked root."""

    suite: str
    packages: tuple[str, ...]
    size_mb: int
    programs: Callable[[Path], list[Path]]
    """Every program of the folder that is to run: each gets the folder's own libc."""
    library_folders: Callable[[Path], list[Path]]
    """Where libraries stand besides the suite's usual folders."""
    trials: Callable[[Path], list[Trial]]


def bring(recipe: Recipe, root: Path, *, present: Callable[[], bool], settings: EngineSettings, report: Report) -> None:
    """Unpack a recipe into `root`, unless another set-up did meanwhile (`present` is asked under the lock).

    Raises:
        VigieError: it cannot be had; nothing half-made stays behind.
    """
    make_folder(root.parent)
    with _lock(root.parent / ".lock", report):
        if present():
            return
        for left_over in root.parent.glob(".unpacking-*"):
            shutil.rmtree(left_over)
        with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=root.parent) as temporary:
            Path(temporary).chmod(0o755)
            _build(recipe, Path(temporary), root, settings, report)
    report(f"engines are in {root}")


def wanted(closure: Sequence[Package]) -> list[Package]:
    """The packages of a closure that are needed to run."""
    return [package for package in closure if not UNNEEDED.search(package.name)]


def manifest_of(root: Path) -> dict[str, str]:
    """The versions of the packages unpacked there; empty when there are none."""
    file = root / MANIFEST
    return dict(json.loads(file.read_text())) if file.exists() else {}


def _build(recipe: Recipe, temporary: Path, root: Path, settings: EngineSettings, report: Report) -> None:
    mirror = Mirror(settings.debian_mirror.rstrip("/"), "") if settings.debian_mirror else machine_mirror()
    report(f"reading Debian {recipe.suite}'s package lists from {mirror.main}")
    apt = PrivateApt(make_folder(temporary / "apt"), suite=recipe.suite, mirror=mirror)
    apt.update()
    packages = wanted(apt.closure(recipe.packages))
    report(f"downloading {len(packages)} packages (about {recipe.size_mb} MB)")
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
    point_at_own_libraries(recipe, unpacked, root)
    (unpacked / MANIFEST).write_text(json.dumps({p.name: p.version for p in packages}, indent=1))
    unpacked.rename(root)
    _try_out(recipe, root, temporary)


def point_at_own_libraries(recipe: Recipe, unpacked: Path, final: Path) -> None:
    """Set each program's interpreter and a forced rpath to the folder's own libc and libraries.

    The rpath is forced (DT_RPATH, not DT_RUNPATH) because it must also serve the libraries' own needs and the
    modules that the programs load.
    """
    programs = [f for f in recipe.programs(unpacked) if _is_elf(f)]
    interpreter = _patchelf("--print-interpreter", str(programs[0])).strip()
    own = next((f for f in (unpacked / interpreter[1:], unpacked / "usr" / interpreter[1:]) if f.exists()), None)
    if own is None:
        raise VigieError(f"the unpacked engines hold no {interpreter}")
    libraries = sorted({f.parent.relative_to(unpacked) for f in unpacked.glob("**/lib*.so*") if f.parent.name != "lib"})
    libraries = [f for f in libraries if "-linux-" in f.name]
    extra = [folder.relative_to(unpacked) for folder in recipe.library_folders(unpacked)]
    rpath = ":".join(str(final / f) for f in (*libraries, *extra))
    target = str(final / own.relative_to(unpacked))
    _patchelf("--set-interpreter", target, "--force-rpath", "--set-rpath", rpath, *map(str, programs))


def _try_out(recipe: Recipe, root: Path, temporary: Path) -> None:
    try:
        for trial in recipe.trials(root):
            done = subprocess.run(trial.command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
            if trial.says not in done.stdout:
                raise VigieError(f"the unpacked {trial.command[0]} does not run: {(done.stderr or done.stdout).strip()[-300:]}")
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
