"""Make `.venv` from a hashed lock, on a machine that has python3 but perhaps neither pip nor venv's ensurepip.

Run by make with the machine's own python3: `python3 setup/bootstrap.py run|dev`. Uses the standard library only. The
second run sees by a stamp that nothing changed and ends at once; an interrupted run leaves no stamp and is repeated.
"""

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOCKS = {"run": ROOT / "requirements.lock", "dev": ROOT / "requirements-dev.lock"}
OLDEST_PYTHON = (3, 11)
# In Debian the wheel of pip that ensurepip would install is a package of its own.
PIP_PACKAGE = "python3-pip-whl"
PIP_WHEELS = "usr/share/python-wheels"

sys.path.insert(0, str(ROOT))


def main(kind: str) -> None:
    """Make sure `.venv` holds what the lock of this kind names."""
    if sys.version_info < OLDEST_PYTHON:
        fail(f"Python {'.'.join(map(str, OLDEST_PYTHON))} or newer is needed; python3 is {sys.version.split()[0]}")
    # A development environment holds everything a running one does.
    if any(stamp(k).exists() and stamp(k).read_text() == fingerprint(k) for k in {kind, "dev"}):
        return
    with Path(__file__).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for old in ("run", "dev"):
            stamp(old).unlink(missing_ok=True)
        make_venv()
        say(f"installing {LOCKS[kind].read_text().count('==')} Python packages, each checked against {LOCKS[kind].name}")
        pip("install", "--require-hashes", "--only-binary", ":all:", "-r", str(LOCKS[kind]))
        link_checkout()
        stamp(kind).write_text(fingerprint(kind))
    say(f"{VENV} is ready")


def stamp(kind: str) -> Path:
    """The file that says which lock `.venv` was made from."""
    return VENV / f".made-from-{kind}"


def fingerprint(kind: str) -> str:
    """What `.venv` depends on: the lock, this script, the interpreter and the checkout's place."""
    parts = (LOCKS[kind].read_bytes(), Path(__file__).read_bytes(), sys.version.encode(), bytes(VENV))
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def make_venv() -> None:
    """Create `.venv` with pip, unless it is there and works."""
    python = VENV / "bin/python"
    if python.exists() and answers(python, f"assert sys.version_info[:2] == {sys.version_info[:2]}; import pip"):
        return
    shutil.rmtree(VENV, ignore_errors=True)
    say(f"making {VENV}")
    with_pip = importlib.util.find_spec("ensurepip") is not None
    venv.create(VENV, symlinks=True, with_pip=with_pip)
    if not with_pip:
        pip_from_debian(python)


def pip_from_debian(python: Path) -> None:
    """Install pip from Debian's package of its wheel, without installing the package (so root is not needed)."""
    from vigie.engines.apt import PrivateApt, machine_mirror, unpack

    say(f"this python3 brings no pip: taking it from Debian's {PIP_PACKAGE}")
    with tempfile.TemporaryDirectory(prefix="vigie-setup-") as temporary:
        # apt downloads as a user of its own when root runs it.
        Path(temporary).chmod(0o755)
        apt = PrivateApt(Path(temporary) / "apt", suite=codename(), mirror=machine_mirror())
        apt.update()
        packages = [package for package in apt.closure([PIP_PACKAGE]) if package.name == PIP_PACKAGE]
        for file in apt.download(packages, Path(temporary) / "packages"):
            unpack(file, Path(temporary) / "root")
        wheel = next((Path(temporary) / "root" / PIP_WHEELS).glob("pip-*.whl"))
        run([str(python), str(wheel / "pip"), "install", "--no-index", "--no-deps", str(wheel)])


def codename() -> str:
    """This Debian's name, as its archive has it."""
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip('"')
    return fail("/etc/os-release names no release: install python3-venv yourself")


def link_checkout() -> None:
    """Let `.venv` find this checkout's packages and have a `vigie` command; editing a file is enough to change it."""
    site = subprocess.run(
        [VENV / "bin/python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    (Path(site) / "vigie-checkout.pth").write_text(f"{ROOT}\n")
    command = VENV / "bin/vigie"
    command.write_text(f"#!/bin/sh\nexec '{VENV}/bin/python' -m vigie \"$@\"\n")
    command.chmod(0o755)


def pip(*arguments: str) -> None:
    """Run the environment's own pip, as this machine configures it."""
    run([str(VENV / "bin/python"), "-m", "pip", *arguments])


def answers(python: Path, check: str) -> bool:
    """Whether an interpreter runs and a check holds in it."""
    return subprocess.run([python, "-c", f"import sys; {check}"], check=False, capture_output=True).returncode == 0


def run(command: list[str]) -> None:
    """Run a command quietly; show what it said only if it fails."""
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        fail(f"{' '.join(command[:5])} … failed:\n{(done.stdout + done.stderr).strip()[-3000:]}")


def say(line: str) -> None:
    """One line per step."""
    print(f"set-up: {line}", flush=True)


def fail(why: str) -> str:
    """End with one clear message."""
    sys.exit(f"set-up: {why}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "run")
