"""Which bytes a request gets, from its headers alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_rollout.ranges import entity_tag, reply_to

TAG = entity_tag("ab" * 32)
OTHER = entity_tag("cd" * 32)
CONTENT = bytes(range(100))


@pytest.mark.parametrize(
    ("headers", "status", "first_and_length"),
    [
        pytest.param({}, 200, (0, 100), id="no condition: the whole"),
        pytest.param({"range": "bytes=0-9"}, 206, (0, 10), id="a beginning"),
        pytest.param({"range": "bytes=90-"}, 206, (90, 10), id="the rest: resuming"),
        pytest.param({"range": "bytes=-10"}, 206, (90, 10), id="the last ten"),
        pytest.param({"range": "bytes=-500"}, 206, (0, 100), id="a suffix longer than the file"),
        pytest.param({"range": "bytes=50-500"}, 206, (50, 50), id="an end beyond the file"),
        pytest.param({"range": "bytes=100-"}, 416, (0, 0), id="begins at the end: nothing is left"),
        pytest.param({"range": "bytes=-0"}, 416, (0, 0), id="a suffix of nothing"),
        pytest.param({"range": "bytes=9-3"}, 200, (0, 100), id="an invalid range is none"),
        pytest.param({"range": "bytes=0-1,5-6"}, 200, (0, 100), id="several ranges: the whole"),
        pytest.param({"range": "lines=0-1"}, 200, (0, 100), id="another unit"),
        pytest.param({"range": "bytes=0-9", "if-range": TAG}, 206, (0, 10), id="the same file as before: the part"),
        pytest.param({"range": "bytes=0-9", "if-range": OTHER}, 200, (0, 100), id="another file than before: the whole"),
        pytest.param({"range": "bytes=0-9", "if-range": f"W/{TAG}"}, 200, (0, 100), id="a weak tag is not good enough"),
        pytest.param({"range": "bytes=0-9", "if-range": "Mon, 23 Nov 2026 10:00:00 GMT"}, 200, (0, 100), id="a date: no match"),
        pytest.param({"if-match": TAG}, 200, (0, 100), id="if-match holds"),
        pytest.param({"if-match": "*"}, 200, (0, 100), id="if-match: any"),
        pytest.param({"if-match": f"{OTHER}, {TAG}", "range": "bytes=1-1"}, 206, (1, 1), id="if-match: one of several"),
        pytest.param({"if-match": OTHER}, 412, (0, 0), id="if-match: another file"),
        pytest.param({"if-match": f"W/{TAG}"}, 412, (0, 0), id="if-match compares strongly"),
        pytest.param({"if-match": "nonsense"}, 412, (0, 0), id="if-match: nothing that could match"),
        pytest.param({"if-none-match": TAG}, 304, (0, 0), id="known already"),
        pytest.param({"if-none-match": f"W/{TAG}"}, 304, (0, 0), id="if-none-match compares weakly"),
        pytest.param({"if-none-match": OTHER}, 200, (0, 100), id="not known"),
    ],
)
def test_headers_decide(headers: dict[str, str], status: int, first_and_length: tuple[int, int]) -> None:
    reply = reply_to("GET", headers, size=100, etag=TAG)
    assert (reply.status, (reply.start, reply.length)) == (status, first_and_length)
    assert reply.headers["etag"] == TAG
    ranges = {206: f"bytes {reply.start}-{reply.start + reply.length - 1}/100", 416: "bytes */100"}
    assert reply.headers.get("content-range") == ranges.get(status)


def test_head_ignores_ranges_but_not_conditions() -> None:
    assert reply_to("HEAD", {"range": "bytes=0-9"}, size=100, etag=TAG).status == 200
    assert reply_to("HEAD", {"if-match": OTHER}, size=100, etag=TAG).status == 412


@given(cuts=st.lists(st.integers(0, 99), max_size=5))
def test_a_download_resumed_wherever_it_was_cut_is_the_file(cuts: list[int]) -> None:
    held = b""
    for cut in sorted(cuts):
        reply = reply_to("GET", {"range": f"bytes={len(held)}-", "if-range": TAG}, size=100, etag=TAG)
        held += CONTENT[reply.start : reply.start + reply.length][: max(0, cut - len(held))]
    reply = reply_to("GET", {"range": f"bytes={len(held)}-"}, size=100, etag=TAG)
    assert held + CONTENT[reply.start : reply.start + reply.length] == CONTENT


@given(text=st.text(max_size=40))
def test_no_range_header_breaks_it(text: str) -> None:
    reply = reply_to("GET", {"range": text, "if-match": "*"}, size=100, etag=TAG)
    assert reply.status in {200, 206, 416}
    assert reply.start + reply.length <= 100
