"""A store that speaks S3 and checks signatures, as a process of its own: moto's server, whose check is botocore's, not ours.

It wants other versions of packages than Vigie, so it is installed from its own lock into a folder of the cache.
"""

import hashlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx

from firmware_rollout.settings import StoreSettings
from vigie.engines.process import free_port, wait_until

LOCK = Path(__file__).with_name("s3_server.lock")
READY_WITHIN_S = 30
# Who is spoken to stands in the signature's scope; before signatures are asked for, it may be any.
UNSIGNED = "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/{}/aws4_request, SignedHeaders=host, Signature=x"
MAY_ALL = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'


def installed(cache: Path, lock: Path = LOCK) -> Path:
    """The folder with a lock's packages, made if this machine has none yet; raises `CalledProcessError` without network."""
    folder = cache / f"{lock.stem.replace('_', '-')}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    if not folder.exists():
        part = folder.with_name(f"{folder.name}.{os.getpid()}")
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--require-hashes",
            "--no-deps",
        ]
        subprocess.run([*command, "--target", str(part), "--requirement", str(lock)], check=True, stdout=sys.stderr)
        part.rename(folder)
    return folder


@dataclass
class S3Server:
    """A running server with one bucket, and an account that may use it."""

    url: str
    process: subprocess.Popen[bytes]
    key_id: str = ""
    secret: str = ""

    def settings(self, **changed: str) -> StoreSettings:
        given = {
            "release_store": "s3://firmware/vigie",
            "s3_endpoint": self.url,
            "s3_key_id": self.key_id,
            "s3_secret": self.secret,
        }
        return StoreSettings.model_validate({**given, **changed})

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


def start(cache: Path) -> S3Server:
    """Start the server, make the account and the bucket, and from then on ask for signatures."""
    packages, port = installed(cache), free_port()
    script = f"import sys; sys.path.insert(0, {str(packages)!r}); from moto.server import main; main(['-p', '{port}'])"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server = S3Server(f"http://127.0.0.1:{port}", process)
    try:
        assert wait_until(lambda: _answers(server.url), timeout_s=READY_WITHIN_S), "moto's S3 does not answer"
        _set_up(server)
    except BaseException:
        server.stop()
        raise
    return server


def _set_up(server: S3Server) -> None:
    _iam(server, "CreateUser")
    keys = _iam(server, "CreateAccessKey")
    _iam(server, "PutUserPolicy", PolicyName="all", PolicyDocument=MAY_ALL)
    httpx.put(f"{server.url}/firmware", headers={"authorization": UNSIGNED.format("s3")}).raise_for_status()
    server.key_id, server.secret = (_between(keys, name) for name in ("AccessKeyId", "SecretAccessKey"))
    httpx.post(f"{server.url}/moto-api/reset-auth", content=b"0").raise_for_status()


def _iam(server: S3Server, action: str, **values: str) -> str:
    form = {"Action": action, "Version": "2010-05-08", "UserName": "vigie", **values}
    answer = httpx.post(server.url, data=form, headers={"authorization": UNSIGNED.format("iam")})
    return answer.raise_for_status().text


def _between(text: str, tag: str) -> str:
    found = re.search(f"<{tag}>(.*?)</{tag}>", text)
    assert found is not None, text
    return found[1]


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/moto-api/data.json").is_success
    except httpx.HTTPError:
        return False
