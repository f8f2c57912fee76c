"""What an HTTP request for a file gets: RFC 9110's conditions and byte ranges, decided from headers alone.

Order of the conditions as in RFC 9110, 13.2.2: `If-Match`, `If-None-Match`, then `Range` with `If-Range`. There are no dates:
a file is its bytes, and its entity tag is their SHA-256.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_RANGE: Final = re.compile(r"\s*bytes\s*=\s*(?:(\d{1,18})\s*-\s*(\d{1,18})?|-\s*(\d{1,18}))\s*", re.IGNORECASE)
_TAG: Final = re.compile(r'(?:W/)?"[^"]*"')


@dataclass(frozen=True, slots=True)
class Reply:
    """A status, and which bytes: `length` of them from `start`; none with 304, 412 and 416."""

    status: int
    start: int
    length: int
    headers: Mapping[str, str]


def entity_tag(sha256: str) -> str:
    """The strong entity tag of bytes with this hash."""
    return f'"{sha256}"'


def reply_to(method: str, headers: Mapping[str, str], *, size: int, etag: str) -> Reply:
    """Decide on a GET or HEAD of a file of `size` bytes; `headers` by lower-case name.

    Several ranges at once are answered by the whole file, which RFC 9110 (14.2) allows.
    """
    fixed = {"etag": etag, "accept-ranges": "bytes"}
    wanted = headers.get("if-match")
    if wanted is not None and not _matches(wanted, etag, weakly=False):
        return Reply(412, 0, 0, fixed)
    had = headers.get("if-none-match")
    if had is not None and _matches(had, etag, weakly=True):
        return Reply(304, 0, 0, fixed)
    whole = Reply(200, 0, size, fixed)
    # Ranges are defined for GET alone; and with If-Range only while the file is still the one the first part was of.
    if method != "GET" or headers.get("if-range", etag) != etag:
        return whole
    part = _part(headers.get("range", ""), size)
    if part is None:
        return whole
    start, end = part
    if start > end:
        return Reply(416, 0, 0, {**fixed, "content-range": f"bytes */{size}"})
    return Reply(206, start, end - start + 1, {**fixed, "content-range": f"bytes {start}-{end}/{size}"})


def _part(wanted: str, size: int) -> tuple[int, int] | None:
    """First and last byte of one range, empty (first above last) where the file has none of it; None: no single valid range."""
    found = _RANGE.fullmatch(wanted)
    if found is None:
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        return size - min(int(suffix), size), size - 1
    if last is not None and int(last) < int(first):
        return None
    return int(first), min(int(last), size - 1) if last is not None else size - 1


def _matches(listed: str, etag: str, *, weakly: bool) -> bool:
    if listed.strip() == "*":
        return True
    return any((tag.removeprefix("W/") if weakly else tag) == etag for tag in _TAG.findall(listed))
