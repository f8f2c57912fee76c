"""A private apt: it reads the machine's mirror and keys, but keeps its own sources, lists and cache.

Nothing of the machine's package state is read or written, so it works for an unprivileged user, offers Debian 13's
packages on Debian 12, and resolves a closure as if nothing were installed. apt itself checks the signatures.

Set-up uses this module before any Python package is installed: it needs the standard library only.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fleet.errors import VigieError

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MAIN_SUITES = re.compile(r"^(bookworm|trixie|forky|sid|oldstable|stable|testing|unstable)$")
SECURITY_SUITES = re.compile(r"^[a-z]+-security$|^[a-z]+/updates$")
DOWNLOAD_TIMEOUT_S = 1800


class AptError(VigieError):
    """apt could not do what was asked; the text ends with its own last words."""


@dataclass(frozen=True)
class Package:
    """One package of a closure."""

    name: str
    version: str


@dataclass(frozen=True)
class Mirror:
    """Where packages come from; `security` is empty where no security archive is known."""

    main: str
    security: str


def machine_mirror() -> Mirror:
    """The Debian mirror that this machine's own apt is set to use.

    Raises:
        AptError: it uses none; the setting VIGIE_DEBIAN_MIRROR then names one.
    """
    # Without --no-release-info apt is silent about a source whose lists were never downloaded (a fresh container).
    listing = _run(
        ["apt-get", "indextargets", "--no-release-info", "--format", "$(CREATED_BY)|$(RELEASE)|$(REPO_URI)|$(COMPONENT)"]
    )
    mirror = mirror_of(listing)
    if mirror is None:
        raise AptError("this machine's apt names no Debian mirror: set VIGIE_DEBIAN_MIRROR to one")
    return mirror


def mirror_of(listing: str) -> Mirror | None:
    """Read the mirror out of apt's index targets (`created by|release|repository|component` lines)."""
    main, security = "", ""
    for line in listing.splitlines():
        created_by, _, rest = line.partition("|")
        release, _, rest = rest.partition("|")
        uri, _, component = rest.partition("|")
        if created_by != "Packages" or component != "main":
            continue
        if MAIN_SUITES.match(release):
            main = main or uri.rstrip("/")
        elif SECURITY_SUITES.match(release):
            security = security or uri.rstrip("/")
    return Mirror(main, security) if main else None


class PrivateApt:
    """apt with a state of its own under `folder`, for one suite."""

    def __init__(self, folder: Path, *, suite: str, mirror: Mirror) -> None:
        self._folder = folder
        self._config = folder / "apt.conf"
        for part in ("state/lists/partial", "cache/archives/partial", "empty"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        self._config.write_text(_configuration(folder, debian_architecture()))
        (folder / "sources.list").write_text(sources_list(suite, mirror))

    def update(self) -> None:
        """Download the package lists; apt refuses them unless Debian's keys signed them."""
        # --error-on=any: a half-updated archive would resolve to packages that no longer exist.
        self._apt("update", "--error-on=any")

    def closure(self, packages: Sequence[str]) -> list[Package]:
        """Everything the packages need, as if nothing were installed."""
        return parse_simulation(self._apt("install", "--simulate", *packages))

    def download(self, packages: Sequence[Package], into: Path) -> list[Path]:
        """Download packages into a folder; apt checks each against the signed lists."""
        into.mkdir(parents=True, exist_ok=True)
        self._apt("download", *(f"{p.name}={p.version}" for p in packages), cwd=into)
        files = sorted(into.glob("*.deb"))
        if len(files) != len(packages):
            raise AptError(f"apt downloaded {len(files)} packages of {len(packages)}")
        return files

    def _apt(self, *arguments: str, cwd: Path | None = None) -> str:
        return _run(["apt-get", "-c", str(self._config), "-y", "-qq", *arguments], cwd=cwd)


def sources_list(suite: str, mirror: Mirror) -> str:
    """The sources of one suite, with its updates and security fixes where it has them."""
    # Where the keyring stands elsewhere, apt falls back on the keys it trusts for the machine's own sources.
    options = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
    lines = [f"deb {options}{mirror.main} {suite} main"]
    if suite not in ("sid", "unstable"):
        lines.append(f"deb {options}{mirror.main} {suite}-updates main")
        if mirror.security:
            lines.append(f"deb {options}{mirror.security} {suite}-security main")
    return "\n".join(lines) + "\n"


def parse_simulation(output: str) -> list[Package]:
    """Read `apt-get install --simulate`: one `Inst name (version …)` line per package."""
    found = re.findall(r"^Inst (\S+) \((\S+) ", output, flags=re.MULTILINE)
    if not found:
        raise AptError(f"apt resolved no package: {output.strip()[-300:]}")
    return [Package(name, version) for name, version in found]


def debian_architecture() -> str:
    """This machine's architecture in Debian's words: amd64, arm64."""
    if shutil.which("dpkg") is None:
        raise AptError(
            "this is no Debian (dpkg is missing): point VIGIE_DATABASE_URL and VIGIE_MQTT_URL at existing engines,"
            " or use deploy/compose.yaml"
        )
    return _run(["dpkg", "--print-architecture"]).strip()


def unpack(file: Path, into: Path) -> None:
    """Unpack one .deb without running any of its scripts."""
    _run(["dpkg", "-x", str(file), str(into)])


def _configuration(folder: Path, architecture: str) -> str:
    return f"""// A private apt: the machine's proxy and trust settings, none of its package state.
Dir::State "{folder}/state";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "{folder}/empty";
Dir::Etc::preferences "{folder}/empty/none";
Dir::Etc::preferencesparts "{folder}/empty";
APT::Architecture "{architecture}";
#clear APT::Architectures;
APT::Architectures {{ "{architecture}"; }};
APT::Install-Recommends "false";
APT::Default-Release "";
Acquire::Languages "none";
Acquire::Retries "3";
// The machine's hooks belong to its own package state.
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Install-Pkgs;
"""


def _run(command: Sequence[str], cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            timeout=DOWNLOAD_TIMEOUT_S,
        )
    except FileNotFoundError:
        raise AptError(f"{command[0]} is missing: this needs a Debian machine") from None
    except subprocess.TimeoutExpired:
        raise AptError(f"{command[0]} took longer than {DOWNLOAD_TIMEOUT_S} s") from None
    if done.returncode != 0:
        words = [line for line in done.stderr.strip().splitlines() if line.strip()]
        verb = next((a for a in command[1:] if a in ("update", "install", "download", "indextargets")), "")
        raise AptError(f"{command[0]} {verb} failed: {' / '.join(words[-3:])}")
    return done.stdout
