"""Two update clients that nobody here wrote, as processes: Debian's swupdate and PyPI's rauc-hawkbit; and images for the first."""

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from firmware_rollout.ddi.tokens import device_token
from tests.running_devices import KEY, TERMINAL, Devices
from vigie.engines.process import spawn, tail

RAUC_LOCK = Path(__file__).with_name("rauc_client.lock")
_RAUC_DEVICE = Path(__file__).with_name("rauc_device.py")
_ALIGNED = 4
_BLOCK = 512


@dataclass
class Signer:
    """Somebody with a key and a certificate of their own."""

    folder: Path
    name: str

    def __post_init__(self) -> None:
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN={self.name}"]
        files = ["-keyout", str(self._key), "-out", str(self.certificate)]
        purpose = ["-addext", "extendedKeyUsage=emailProtection", "-addext", "keyUsage=digitalSignature"]
        subprocess.run([*command, *files, *purpose], check=True, capture_output=True)

    @property
    def certificate(self) -> Path:
        return self.folder / f"{self.name}.pem"

    @property
    def _key(self) -> Path:
        return self.folder / f"{self.name}.key"

    def image(self, file: Path, content: bytes, *, installs_to: Path) -> Path:
        """An image for swupdate that writes `content` to a file, signed by CMS as `swupdate -k` asks."""
        described = (
            'software = { version = "4.3.0"; hardware-compatibility: [ "1.0" ]; files: ( { filename = "fw.bin";'
            f' type = "rawfile"; path = "{installs_to}"; sha256 = "{hashlib.sha256(content).hexdigest()}"; }} ); }}\n'
        ).encode()
        command = ["openssl", "cms", "-sign", "-signer", str(self.certificate), "-inkey", str(self._key)]
        form = ["-outform", "DER", "-nosmimecap", "-binary"]
        signature = subprocess.run([*command, *form], input=described, check=True, capture_output=True).stdout
        file.write_bytes(_cpio({"sw-description": described, "sw-description.sig": signature, "fw.bin": content}))
        return file


@dataclass
class Client:
    """A client's process; started anew as often as a test likes."""

    command: list[str]
    home: Path
    process: subprocess.Popen[bytes] | None = None
    starts: int = field(default=0)

    @property
    def log(self) -> Path:
        return self.home / f"client-{self.starts}.log"

    def start(self, *more: str) -> None:
        self.stop()
        self.starts += 1
        sockets = self.home / "sockets"
        sockets.mkdir(exist_ok=True)
        self.process = spawn([*self.command, *more], log=self.log, environment={**os.environ, "TMPDIR": str(sockets)})

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def said(self) -> str:
        return tail(self.log, 400)


def swupdate(program: Path, home: Path, devices: Devices, *, trusts: Signer) -> Client:
    """A device with swupdate, which polls every second; `start("-c 2")` is its start after a reboot that went well."""
    config = home / "swupdate.cfg"
    config.write_text('globals : {};\nidentify : ( { name = "board"; value = "terminal-b"; } );\n')
    base = f"-t vigie -u {devices.url} -i {TERMINAL} -k {device_token(KEY, TERMINAL)} -p 1 -r 5 -w 1 -m 1"
    arguments = ["-v", "-f", str(config), "-k", str(trusts.certificate), "-B", "none", "-H", "board:1.0"]
    return SwUpdate([str(program), *arguments, "-u", base], home)


class SwUpdate(Client):
    """swupdate takes what belongs to its hawkBit mode in one argument."""

    def start(self, *more: str) -> None:
        plain = self.command
        self.command = [*plain[:-1], " ".join((plain[-1], *more))]
        super().start()
        self.command = plain


def rauc_hawkbit(packages: Path, home: Path, devices: Devices, *, result: int = 0) -> Client:
    """A device with rauc-hawkbit; `result` is what RAUC says of the installation."""
    arguments = [str(packages), devices.host, TERMINAL, device_token(KEY, TERMINAL)]
    files = [str(home / "bundle"), str(home / "slot")]
    return Client([sys.executable, str(_RAUC_DEVICE), *arguments, *files, str(result)], home)


def _cpio(files: dict[str, bytes]) -> bytes:
    """An archive of the form swupdate reads, `crc`: newc with checksums."""
    out = bytearray()
    for number, (name, content) in enumerate({**files, "TRAILER!!!": b""}.items(), start=1):
        mode = 0o100644 if content else 0
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, sum(content) & 0xFFFFFFFF)
        out += b"070702" + b"".join(b"%08X" % value for value in fields) + name.encode() + b"\0"
        out += b"\0" * (-len(out) % _ALIGNED) + content
        out += b"\0" * (-len(out) % _ALIGNED)
    return bytes(out + b"\0" * (-len(out) % _BLOCK))
