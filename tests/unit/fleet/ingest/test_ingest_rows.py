from datetime import UTC, datetime, timedelta
from math import isnan

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from psycopg import postgres
from psycopg._copy_base import BinaryFormatter
from psycopg.adapt import Transformer
from psycopg.pq import Format

from fleet.contract import SAMPLE_FIELDS
from fleet.feed import samples_from_copy
from fleet.ingest.decode import DECODED_DTYPE
from fleet.ingest.rows import copy_rows
from tests.unit.fleet.ingest.messages import NAMES, NOW_MS

TERMINALS = np.array(NAMES, "S6")
RECEIVED_US = NOW_MS * 1000 + 123
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TYPES = ["text", "timestamptz", "timestamptz", "int8", "int8", *["float4"] * len(SAMPLE_FIELDS)]

_floats = st.floats(width=32, allow_infinity=False)
_rows = st.lists(
    st.tuples(
        st.integers(0, len(NAMES) - 1),
        st.integers(0, 2**32 - 1),
        st.integers(0, 2**32 - 1),
        st.integers(0, NOW_MS),
        st.lists(_floats, min_size=len(SAMPLE_FIELDS), max_size=len(SAMPLE_FIELDS)),
    ),
    max_size=8,
)


def decoded(rows: list[tuple[int, int, int, int, list[float]]]) -> NDArray[np.void]:
    out = np.zeros(len(rows), DECODED_DTYPE)
    for place, (terminal, boot, seq, at, values) in enumerate(rows):
        out[place] = (terminal, place, boot, seq, at, values)
    return out


@given(_rows)
def test_copy_bytes_equal_psycopgs_row_by_row(rows: list[tuple[int, int, int, int, list[float]]]) -> None:
    adapter = Transformer()
    adapter.set_dumper_types([postgres.types[name].oid for name in TYPES], Format.BINARY)
    formatter = BinaryFormatter(adapter)
    # psycopg writes the header with the first row; without rows it writes nothing.
    expected = bytearray()
    for terminal, boot, seq, at, values in rows:
        numbers = [None if isnan(value) else value for value in values]
        times = [EPOCH + timedelta(milliseconds=at), EPOCH + timedelta(microseconds=RECEIVED_US)]
        expected += formatter.write_row([NAMES[terminal], *times, boot, seq, *numbers])
    expected += formatter.end()
    ours = copy_rows(decoded(rows), names=TERMINALS, received_us=RECEIVED_US)
    if rows:
        assert ours == bytes(expected)
    else:
        assert len(ours) == 21


@given(_rows)
def test_feed_reads_what_ingest_writes(rows: list[tuple[int, int, int, int, list[float]]]) -> None:
    samples = decoded([(*row[:4], [0.0 if isnan(value) else value for value in row[4]]) for row in rows])
    read = samples_from_copy(copy_rows(samples, names=TERMINALS, received_us=RECEIVED_US))
    assert read["terminal"].tolist() == TERMINALS[samples["terminal"]].tolist()
    for column in ("at", "boot", "seq", "values"):
        np.testing.assert_array_equal(read[column], samples[column])
    assert set(read["received_at"].tolist()) <= {NOW_MS}
