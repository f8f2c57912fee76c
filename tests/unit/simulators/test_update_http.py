"""The terminals' own HTTP: one connection that is kept, and what breaks off is not lost."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fleet.errors import VigieError
from simulators.updates.http import BrokenOffError, Line, LineError, Reply

OK = b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: "x"\r\n\r\nhello'


@contextmanager
def server(*connections: list[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """Answers each request of each connection with the next bytes, then closes; yields its address and what it was asked."""
    asked: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for answers in connections:
            peer, _ = listener.accept()
            with peer:
                for answer in answers:
                    asked.append(peer.recv(65_536))
                    peer.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
    finally:
        thread.join(5)
        listener.close()


def test_a_connection_is_kept_and_opened_anew_when_the_server_has_closed_it() -> None:
    with server([OK, OK], [OK]) as (url, asked):
        line = Line(url)
        replies = [line.ask("GET", f"/{number}", headers={"A": "b"}) for number in range(3)]
        line.close()
    assert replies == [Reply(200, {"content-length": "5", "etag": '"x"'}, b"hello")] * 3
    assert [request.split(b" ")[1] for request in asked] == [b"/0", b"/1", b"/2"]
    assert b"\r\nA: b\r\n" in asked[0]


def test_a_body_is_sent_with_its_length_an_empty_one_too() -> None:
    with server([OK, OK]) as (url, asked):
        line = Line(url)
        line.ask("PUT", "/", headers={}, body=b"{}")
        line.ask("POST", "/", headers={})
        line.close()
    assert b"Content-Length: 2\r\n\r\n{}" in asked[0]
    assert b"Content-Length: 0\r\n" in asked[1]


@pytest.mark.parametrize("cut_after", [None, 3])
def test_what_came_before_the_line_broke_is_kept(cut_after: int | None) -> None:
    answer = OK if cut_after else OK[:-2]
    with server([answer]) as (url, _), pytest.raises(BrokenOffError) as caught:
        Line(url).ask("GET", "/", headers={}, cut_after=cut_after)
    assert (caught.value.reply.status, caught.value.reply.body) == (200, b"hel")
    assert caught.value.reply.headers["etag"] == '"x"'


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"SSH-2.0-none\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
    ],
)
def test_what_cannot_be_used_is_an_error(answer: bytes) -> None:
    with server([answer]) as (url, _), pytest.raises(LineError):
        Line(url).ask("GET", "/", headers={})


def test_a_server_that_is_away_is_an_error_and_a_wrong_address_is_named() -> None:
    with pytest.raises(LineError, match="no connection"):
        Line("http://127.0.0.1:1").ask("GET", "/", headers={})
    with pytest.raises(VigieError, match="not an address of a device API: 'ftp://x'"):
        Line("ftp://x")
