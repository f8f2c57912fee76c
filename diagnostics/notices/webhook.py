"""Webhooks: the body as JSON by POST, signed.

`Vigie-Signature: t=<unix seconds>,v1=<hex>` where v1 is HMAC-SHA256 with the shared secret over `<t>.<body>`, so that neither the
body can be changed nor an old request be played again. `t` is the machine's real time, also where Vigie's clock is moved.
"""

import hashlib
import hmac
import math
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

import httpx
import msgspec

from diagnostics.notices.queue import ATTEMPT_TIMEOUT_S
from diagnostics.notices.sending import Failed, Outcome, Parcel, Refused, Sent

ID_HEADER: Final = "Vigie-Notice-Id"
SIGNATURE_HEADER: Final = "Vigie-Signature"


def channel_name(url: str) -> str:
    """A name that tells people which URL it is and holds no secret that the URL may hold."""
    return f"webhook {urlsplit(url).hostname} {hashlib.sha256(url.encode()).hexdigest()[:6]}"


def signature(secret: str, body: bytes, *, at_s: int) -> str:
    """The value of the signature's header."""
    digest = hmac.new(secret.encode(), f"{at_s}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={digest}"


def asked_to_wait_s(value: str, *, now_s: float) -> float | None:
    """What a Retry-After header asks for, in seconds or as a date; None where it cannot be read."""
    try:
        wait_s = float(value) if value.strip().isascii() and value.strip().isdigit() else _date_s(value) - now_s
    except (TypeError, ValueError, OverflowError):
        return None
    return max(0.0, wait_s) if math.isfinite(wait_s) else None


class Webhook:
    """One receiver."""

    def __init__(self, url: str, secret: str, *, real_time_s: Callable[[], float] = time.time) -> None:
        self._url, self._secret, self._time_s = url, secret, real_time_s
        self._client = httpx.Client(timeout=ATTEMPT_TIMEOUT_S, follow_redirects=False, headers={"User-Agent": "Vigie"})

    def send(self, parcel: Parcel) -> Outcome:
        """POST it: 2xx is done, 410 will never work, the rest may later."""
        body = msgspec.json.encode(parcel.body)
        headers = {
            "Content-Type": "application/json",
            ID_HEADER: str(parcel.uid),
            SIGNATURE_HEADER: signature(self._secret, body, at_s=int(self._time_s())),
        }
        try:
            # What the receiver answers besides its status is not read: it may be without end.
            with self._client.stream("POST", self._url, content=body, headers=headers) as response:
                return self._outcome(response)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # Its text may hold the URL, and the URL a token.
            return Failed(type(error).__name__)

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def _outcome(self, response: httpx.Response) -> Outcome:
        status = response.status_code
        if response.is_success:
            return Sent()
        if status == httpx.codes.GONE:
            return Refused("410 Gone: the receiver wants no more")
        if response.is_redirect:
            return Failed(f"{status}: redirects are not followed; set the URL it leads to")
        wait = response.headers.get("Retry-After")
        return Failed(str(status), None if wait is None else asked_to_wait_s(wait, now_s=self._time_s()))


def _date_s(value: str) -> float:
    return parsedate_to_datetime(value).timestamp()
