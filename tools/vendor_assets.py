"""Brings the console's browser libraries and its map from npm into `hotline/web/static/vendor`, pinned by `vendor.lock.json`.

The brought files are committed with their licences, so npm is needed only to change them:

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

STATIC = Path(__file__).resolve().parent.parent / "hotline" / "web" / "static"
LOCK = STATIC / "vendor.lock.json"
VENDOR = STATIC / "vendor"


def main(arguments: list[str]) -> int:
    """Bring every locked package; status 1 where one is not what the lock says."""
    lock = json.loads(LOCK.read_text(encoding="utf-8"))
    relock = "--relock" in arguments
    VENDOR.mkdir(exist_ok=True)
    for package in lock["packages"]:
        with tempfile.TemporaryDirectory() as folder:
            archive = _pack(package["name"], package["version"], Path(folder))
            integrity = _integrity(archive)
            if relock:
                package["integrity"] = integrity
            elif package["integrity"] != integrity:
                print(f"{package['name']} {package['version']}: content is not what the lock says; nothing taken", file=sys.stderr)
                return 1
            _take(archive, package)
    LOCK.write_text(json.dumps(lock, indent=2) + "\n", encoding="utf-8")
    return 0


def _pack(name: str, version: str, folder: Path) -> Path:
    """The package's archive, fetched by npm from the registry it is set up with."""
    subprocess.run(["npm", "pack", f"{name}@{version}", "--silent"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    (archive,) = folder.glob("*.tgz")
    return archive


def _integrity(archive: Path) -> str:
    """The archive's subresource integrity, as npm's own lock files write it."""
    return "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()


def _take(archive: Path, package: dict[str, Any]) -> None:
    """Copy the files named in the lock, without what their last line says of source maps we do not serve."""
    with tarfile.open(archive) as opened:
        for inside, name in package["files"].items():
            member = opened.extractfile(f"package/{inside}")
            if member is None:
                raise SystemExit(f"{package['name']}: no file {inside} in the package")
            lines = member.read().decode("utf-8").splitlines()
            text = "\n".join(line for line in lines if not line.startswith("//# sourceMappingURL="))
            (VENDOR / name).write_text(text + "\n", encoding="utf-8")
            print(f"{package['name']} {package['version']}: {name}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
