"""Samples as PostgreSQL's binary COPY, built by NumPy: a batch is one array of bytes, not a row at a time.

The format (PostgreSQL manual, COPY, binary format): a header, then for each row its number of fields and each field as
a length and that many bytes, big-endian; NULL is the length -1 and no bytes; a trailer of -1.
"""

import numpy as np
from numpy.typing import NDArray

from fleet.contract import SAMPLE_FIELDS

SAMPLE_COLUMNS = "terminal_id, at, received_at, boot, seq, " + ", ".join(SAMPLE_FIELDS)

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
# PostgreSQL counts microseconds from 2000-01-01.
_PG_EPOCH_US = 946_684_800_000_000
_KEYS = [("terminal", "S6"), ("at", ">i8"), ("received_at", ">i8"), ("boot", ">i8"), ("seq", ">i8")]
_VALUES = len(SAMPLE_FIELDS)

_ROW = np.dtype(
    [
        ("fields", ">i2"),
        *(part for name, kind in _KEYS for part in ((f"{name}_len", ">i4"), (name, kind))),
        ("values", [("len", ">i4"), ("value", ">f4")], (_VALUES,)),
    ]
)
# The row that every row is made from: field count and lengths never change.
_BLANK = np.zeros((), _ROW)
_BLANK["fields"] = len(_KEYS) + _VALUES
for _name, _kind in _KEYS:
    _BLANK[f"{_name}_len"] = np.dtype(_kind).itemsize
_BLANK["values"]["len"] = 4
_VALUES_AT = _ROW.itemsize - 8 * _VALUES


def copy_rows(samples: NDArray[np.void], *, names: NDArray[np.bytes_], received_us: int) -> bytes:
    """Binary COPY of `SAMPLE_COLUMNS` for decoded samples; NaN becomes NULL."""
    rows = np.full(len(samples), _BLANK)
    rows["terminal"] = names[samples["terminal"]]
    rows["at"] = samples["at"] * 1000 - _PG_EPOCH_US
    rows["received_at"] = received_us - _PG_EPOCH_US
    rows["boot"] = samples["boot"]
    rows["seq"] = samples["seq"]
    rows["values"]["value"] = samples["values"]
    missing = np.isnan(samples["values"])
    if not missing.any():
        return b"".join((_HEADER, rows.tobytes(), _TRAILER))
    rows["values"]["len"][missing] = -1
    # A NULL has no bytes after its length: cut those of the missing values out of the run.
    flat = rows.view(np.uint8).reshape(len(rows), _ROW.itemsize)
    kept = np.ones_like(flat, np.bool_)
    kept[:, _VALUES_AT:].reshape(len(rows), _VALUES, 8)[:, :, 4:] = ~missing[:, :, np.newaxis]
    return b"".join((_HEADER, flat[kept].tobytes(), _TRAILER))
