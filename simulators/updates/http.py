"""HTTP/1.1 on one connection that is kept: as little as a terminal's update client needs, and cheap enough for thousands of them.

Bodies come with their length (no chunks), which the device API always says. What breaks off is not lost: the error holds
what had come, so that a download is resumed.
"""

import contextlib
import socket
import ssl
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from fleet.errors import VigieError

TIMEOUT_S: Final = 15.0
_CHUNK: Final = 65_536
_LONGEST_HEAD: Final = 65_536
# Larger than any metadata or release of a simulated fleet: what claims more is not believed.
_LONGEST_BODY: Final = 64 * 1024 * 1024


class Reply(NamedTuple):
    """An answer; names of headers in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes


class LineError(Exception):
    """Nothing came that could be used; the text says why."""


class BrokenOffError(LineError):
    """The answer began and did not end; `reply` holds what came of it."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"broken off after {len(reply.body):,} bytes")
        self.reply = reply


class _ClosedError(Exception):
    """The connection had been closed before a byte of the answer."""


class Line:
    """A connection to one server; not for two threads at once."""

    def __init__(self, url: str, *, ca_file: str = "") -> None:
        """`url` names scheme, host and port; raises `VigieError` where it doesn't."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise VigieError(f"not an address of a device API: {url!r}; it must look like https://host/tenant/controller/v1")
        self._address = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
        self._host = parts.netloc.rpartition("@")[2]
        self._tls = ssl.create_default_context(cafile=ca_file or None) if parts.scheme == "https" else None
        self._sock: socket.socket | None = None

    def ask(self, method: str, path: str, *, headers: Mapping[str, str], body: bytes = b"", cut_after: int | None = None) -> Reply:
        """Ask and wait for the answer; `cut_after`: the line is cut when so many bytes of the body have come.

        Raises:
            BrokenOffError: the answer did not come whole.
            LineError: no answer came.
        """
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}", *(f"{name}: {value}" for name, value in headers.items())]
        if body or method in {"POST", "PUT"}:
            lines.append(f"Content-Length: {len(body)}")
        request = "\r\n".join((*lines, "", "")).encode() + body
        try:
            if self._sock is not None:
                # Kept too long for the server's taste: one more try, on a new connection.
                with contextlib.suppress(_ClosedError):
                    return self._exchange(request, cut_after)
                self.close()
            self._open()
            return self._exchange(request, cut_after)
        except _ClosedError as error:
            self.close()
            raise LineError(str(error)) from None
        except LineError:
            self.close()
            raise

    def close(self) -> None:
        """End the connection; the next question opens another."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def _open(self) -> None:
        try:
            sock = socket.create_connection(self._address, timeout=TIMEOUT_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sock = self._tls.wrap_socket(sock, server_hostname=self._address[0]) if self._tls else sock
        except OSError as error:
            raise LineError(f"no connection: {error}") from None

    def _exchange(self, request: bytes, cut_after: int | None) -> Reply:
        sock = self._sock
        assert sock is not None  # opened before
        try:
            sock.sendall(request)
            data = bytearray()
            while (end := data.find(b"\r\n\r\n")) < 0:
                _receive(sock, data)
                if len(data) > _LONGEST_HEAD:
                    raise LineError("the answer's head has no end")
        except TimeoutError:
            raise LineError("no answer in time") from None
        except OSError as error:
            raise _ClosedError(str(error)) from None
        status, headers = _head(bytes(data[:end]))
        length = 0 if request.startswith(b"HEAD ") or status in {204, 304} else _length(headers)
        body = data[end + 4 :]
        upto = length if cut_after is None else min(cut_after, length)
        try:
            while len(body) < upto:
                _receive(sock, body)
        except (_ClosedError, OSError):
            upto = len(body)
        if upto < length:
            raise BrokenOffError(Reply(status, headers, bytes(body[:upto])))
        if headers.get("connection", "").lower() == "close":
            self.close()
        return Reply(status, headers, bytes(body[:length]))


def _receive(sock: socket.socket, into: bytearray) -> None:
    """Add what has come; raises `_ClosedError` at the connection's end."""
    piece = sock.recv(_CHUNK)
    if not piece:
        raise _ClosedError("the server closed the connection")
    into += piece


def _head(text: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = text.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdecimal():
        raise LineError("the answer is no HTTP")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return int(words[1]), headers


def _length(headers: Mapping[str, str]) -> int:
    said = headers.get("content-length", "")
    if not said.isdecimal() or int(said) > _LONGEST_BODY:
        raise LineError(f"the answer's length is {said or 'not said'}")
    return int(said)
