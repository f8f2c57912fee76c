"""Where the manager interface is, and its lines: cut anywhere, with whatever bytes."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotline.telephony.address import Address, read_address
from hotline.telephony.protocol import LONGEST_MESSAGE, AmiError, Parser, encode

STREAM = (
    b"Asterisk Call Manager/9.0.0\r\nResponse: Success\r\nMessage: Authentication accepted\r\n\r\n"
    b"Event: Newchannel\r\nChannel: PJSIP/trunk-00000000\r\nCallerIDNum: 0199001234\r\nConnectedLineNum: <unknown>\r\n\r\n"
    b"Event: VarSet\r\nVariable: A\r\nVariable: B\r\nValue: caf\xe9\x00\x1b[0m: 1:2\r\n\r\n"
)
MESSAGES = [
    {"Response": "Success", "Message": "Authentication accepted"},
    {"Event": "Newchannel", "Channel": "PJSIP/trunk-00000000", "CallerIDNum": "0199001234", "ConnectedLineNum": ""},
    {"Event": "VarSet", "Variable": "A", "Value": "caf\N{REPLACEMENT CHARACTER}[0m: 1:2"},
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_messages_are_the_same_wherever_the_stream_is_cut(cuts: list[int]) -> None:
    parser = Parser()
    edges = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[start:end] for start, end in pairwise(edges)]
    assert [message for piece in pieces for message in parser.feed(piece)] == MESSAGES


@given(st.binary(max_size=2000))
def test_any_bytes_are_read_without_an_error(data: bytes) -> None:
    for message in Parser().feed(data):
        assert all(value.isprintable() for value in message.values())


@pytest.mark.parametrize(
    "piece", [pytest.param(b"x" * 4096, id="one line"), pytest.param(b"key: value\r\n" * 400, id="many lines")]
)
def test_a_message_without_an_end_is_refused(piece: bytes) -> None:
    parser = Parser()
    for _ in range(LONGEST_MESSAGE // (2 * len(piece))):
        assert parser.feed(piece) == []
    with pytest.raises(AmiError, match="longer than"):
        parser.feed(piece * (LONGEST_MESSAGE // len(piece)))


def test_an_action_is_lines_with_an_empty_one_at_its_end() -> None:
    assert encode("Login", Username="vigie", Secret="s") == b"Action: Login\r\nUsername: vigie\r\nSecret: s\r\n\r\n"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        pytest.param("ami://vigie:s3cret@pbx:5040", Address("pbx", 5040, "vigie", "s3cret", tls=False), id="whole"),
        pytest.param("ami://vigie:s@pbx", Address("pbx", 5038, "vigie", "s", tls=False), id="the usual port"),
        pytest.param("amis://vigie:s@pbx", Address("pbx", 5039, "vigie", "s", tls=True), id="TLS has a port of its own"),
        pytest.param("ami://vigie:a%40b%2Fc@[::1]:5038/", Address("::1", 5038, "vigie", "a@b/c", tls=False), id="escaped, IPv6"),
    ],
)
def test_the_address_is_read(url: str, address: Address) -> None:
    assert read_address(url) == address


@pytest.mark.parametrize(
    "url",
    ["http://a:b@c", "ami://pbx", "ami://vigie@pbx", "ami://vigie:s@pbx:x", "ami://vigie:a%0d%0aAction@pbx", "ami://v:s@h/path"],
)
def test_a_wrong_address_is_refused_without_telling_its_secret(url: str) -> None:
    with pytest.raises(ValueError, match="must") as refused:
        read_address(url)
    assert "vigie" not in str(refused.value)
    assert "Action" not in str(refused.value)


def test_a_secret_does_not_show() -> None:
    assert "s3cret" not in repr(read_address("ami://vigie:s3cret@pbx"))
