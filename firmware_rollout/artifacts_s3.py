"""Files of releases in a bucket of any store that speaks S3, through signed requests (AWS Signature Version 4).

Reference: AWS, "Authenticating Requests: Using the Authorization Header" (S3 API Reference). One PUT stores a whole object or
nothing, its SHA-256 is part of what is signed, and the store compares it; so no multipart upload is needed up to 5 GB.
"""

import hashlib
import hmac
from collections.abc import Generator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import httpx

from firmware_rollout.settings import StoreSettings
from firmware_rollout.trust.facts import CHUNK_BYTES, FileFacts, checked_chunks
from fleet.clock import Clock
from fleet.errors import VigieError

_NOTHING: Final = hashlib.sha256(b"").hexdigest()
# Between two pieces; a whole file may take as long as it needs.
_TIMEOUT_S: Final = 30.0
# Each download holds a connection to its end, and a campaign's cap is 500 of them. Beyond, a device is soon told to come again.
MOST_AT_ONCE: Final = 1000
_POOL_TIMEOUT_S: Final = 0.5


class S3Store:
    """A bucket, or what stands under a prefix in it."""

    def __init__(self, settings: StoreSettings, *, clock: Clock) -> None:
        bucket, _, prefix = settings.release_store.removeprefix("s3://").partition("/")
        missing = [name for name in ("s3_endpoint", "s3_key_id", "s3_secret") if not getattr(settings, name)]
        if missing or not bucket:
            names = ", ".join(f"VIGIE_{name.upper()}" for name in missing) or "VIGIE_RELEASE_STORE"
            raise VigieError(f"settings: {names}: needed for {settings.release_store}")
        self._settings, self._clock = settings, clock
        self._base = "/".join((settings.s3_endpoint.rstrip("/"), quote(bucket), *filter(None, (quote(prefix.strip("/")),))))
        self._client = httpx.Client(
            timeout=httpx.Timeout(_TIMEOUT_S, pool=_POOL_TIMEOUT_S),
            transport=httpx.HTTPTransport(retries=2, limits=httpx.Limits(max_connections=MOST_AT_ONCE)),
        )

    def put(self, file: Path, expected: FileFacts) -> None:
        """Send the file as one object; an altered one is never sent to its end, so that the store drops it."""
        with file.open("rb") as source:
            headers = {"content-length": str(expected.length)}
            signed = self._signed("PUT", expected.sha256, headers, payload_sha256=expected.sha256)
            try:
                answer = self._client.put(self._url(expected.sha256), headers=signed, content=checked_chunks(source, expected))
            except httpx.HTTPError as error:
                raise VigieError(f"release_store: {self._settings.s3_endpoint} did not take the file: {error}") from None
        self._check(answer, {200})

    def read(self, sha256: str, *, start: int, length: int) -> Generator[bytes, None, None]:
        """The bytes asked for; `VigieError` where the store refuses or breaks off."""
        headers = {"range": f"bytes={start}-{start + length - 1}"}
        signed = self._signed("GET", sha256, headers, payload_sha256=_NOTHING)
        try:
            with self._client.stream("GET", self._url(sha256), headers=signed) as answer:
                if answer.status_code != httpx.codes.PARTIAL_CONTENT:
                    answer.read()
                    self._check(answer, {206})
                yield from answer.iter_raw(CHUNK_BYTES)
        except httpx.HTTPError as error:
            raise VigieError(f"release_store: {self._settings.s3_endpoint} broke off: {error}") from None

    def close(self) -> None:
        """Close the connections to the store."""
        self._client.close()

    def _url(self, sha256: str) -> str:
        return f"{self._base}/{sha256}"

    def _signed(self, method: str, sha256: str, headers: Mapping[str, str], *, payload_sha256: str) -> dict[str, str]:
        return sign(
            method,
            self._url(sha256),
            headers,
            payload_sha256=payload_sha256,
            key_id=self._settings.s3_key_id,
            secret=self._settings.s3_secret.get_secret_value(),
            region=self._settings.s3_region,
            now=self._clock(),
        )

    def _check(self, answer: httpx.Response, fine: set[int]) -> None:
        if answer.status_code not in fine:
            # The store's own words, an XML of a few lines, name what it minds.
            said = " ".join(answer.text.split())[:300] if answer.request.method != "HEAD" else ""
            raise VigieError(f"release_store: {self._settings.s3_endpoint} answered {answer.status_code} {said}")


def sign(
    method: str,
    url: str,
    headers: Mapping[str, str],
    *,
    payload_sha256: str,
    key_id: str,
    secret: str,
    region: str,
    now: datetime,
) -> dict[str, str]:
    """The headers (lower-case names) with those of AWS Signature Version 4 for service `s3`; the URL has no query."""
    parts = urlsplit(url)
    moment = now.astimezone(UTC)
    stamp, day = moment.strftime("%Y%m%dT%H%M%SZ"), moment.strftime("%Y%m%d")
    signed = {**headers, "host": parts.netloc, "x-amz-content-sha256": payload_sha256, "x-amz-date": stamp}
    names = sorted(signed)
    lines = [method, parts.path, "", *(f"{name}:{signed[name].strip()}" for name in names), "", ";".join(names), payload_sha256]
    scope = f"{day}/{region}/s3/aws4_request"
    to_sign = "\n".join(("AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256("\n".join(lines).encode()).hexdigest()))
    key = f"AWS4{secret}".encode()
    for word in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, word.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    credential = f"AWS4-HMAC-SHA256 Credential={key_id}/{scope},SignedHeaders={';'.join(names)},Signature={signature}"
    return {**signed, "authorization": credential}
