"""Brings the console's browser libraries and its map, and what tests judge its pages with, from npm, pinned by lock files.

Each `vendor.lock.json` says what lies in the folder `vendor` beside it. The brought files are committed with their licences,
so npm is needed only to change them:

    python tools/vendor_assets.py              bring the locked versions, refuse any other content
    python tools/vendor_assets.py --relock     take the versions as written and record their integrity anew
"""

import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCKS = (ROOT / "hotline" / "web" / "static" / "vendor.lock.json", ROOT / "tests" / "e2e" / "vendor.lock.json")


def main(arguments: list[str]) -> int:
    """Bring every locked package; status 1 where one is not what its lock says."""
    return 0 if all(_bring(path, relock="--relock" in arguments) for path in LOCKS) else 1


def _bring(path: Path, *, relock: bool) -> bool:
    """Bring what one lock file names; whether all of it is what the lock says."""
    lock = json.loads(path.read_text(encoding="utf-8"))
    vendor = path.parent / "vendor"
    vendor.mkdir(exist_ok=True)
    for package in lock["packages"]:
        with tempfile.TemporaryDirectory() as folder:
            archive = _pack(package["name"], package["version"], Path(folder))
            integrity = _integrity(archive)
            if relock:
                package["integrity"] = integrity
            elif package["integrity"] != integrity:
                print(f"{package['name']} {package['version']}: content is not what the lock says; nothing taken", file=sys.stderr)
                return False
            _take(archive, package, vendor)
    path.write_text(json.dumps(lock, indent=2) + "\n", encoding="utf-8")
    return True


def _pack(name: str, version: str, folder: Path) -> Path:
    """The package's archive, fetched by npm from the registry it is set up with."""
    subprocess.run(["npm", "pack", f"{name}@{version}", "--silent"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    (archive,) = folder.glob("*.tgz")
    return archive


def _integrity(archive: Path) -> str:
    """The archive's subresource integrity, as npm's own lock files write it."""
    return "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()


def _take(archive: Path, package: dict[str, Any], vendor: Path) -> None:
    """Copy the files named in the lock, without what their last line says of source maps we do not serve."""
    with tarfile.open(archive) as opened:
        for inside, name in package["files"].items():
            member = opened.extractfile(f"package/{inside}")
            if member is None:
                raise SystemExit(f"{package['name']}: no file {inside} in the package")
            lines = member.read().decode("utf-8").splitlines()
            text = "\n".join(line for line in lines if not line.startswith("//# sourceMappingURL="))
            (vendor / name).write_text(text + "\n", encoding="utf-8")
            print(f"{package['name']} {package['version']}: {name}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
