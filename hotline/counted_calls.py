"""The calls that figures are counted from: one row a call, kept as columns, for three months of them are counted in one go."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, overload

import numpy as np
from numpy.typing import NDArray

from hotline.floors import Floor

FLOORS: Final = tuple(Floor)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

# One call. These bytes are also how closed days are stored: whoever changes them raises `hotline.closed_days.LAYOUT`.
CALL: Final = np.dtype(
    [
        ("call", "<i8"),
        # Microseconds since 1970.
        ("rang_us", "<i8"),
        ("wait_s", "<f8"),
        # NaN: it goes on.
        ("handled_s", "<f8"),
        # 0: nobody.
        ("agent", "<i8"),
        # Place in `FLOORS`; where `level` is 0, nothing but the agent says floor and level.
        ("floor", "u1"),
        ("level", "u1"),
        # -1: nobody has qualified it.
        ("solved", "i1"),
        ("in_hours", "?"),
        ("by_hand", "?"),
        ("answered", "?"),
        ("over", "?"),
        ("overflowed", "?"),
        ("repeat", "?"),
    ]
)


@dataclass(frozen=True, slots=True)
class CallRow:
    """One call that came in, as the figures see it; `floor`, `level` and `agent` are where it came out in the end."""

    call: int
    rang_at: datetime
    in_hours: bool
    by_hand: bool
    answered: bool
    # It has ended; a call that neither is answered nor has ended still waits.
    over: bool
    # From the first ring, by our own clock, until somebody answered or the caller gave up.
    wait_s: float
    # Speech, hold and wrap-up of everybody who had it; None while it goes on.
    handled_s: float | None
    floor: str
    level: int
    agent: int | None
    overflowed: bool
    # None: nobody has qualified it.
    solved: bool | None
    # The shop was answered in the seven days before.
    repeat: bool


class Calls(Sequence[CallRow]):
    """Calls as columns, read like a list of rows; never changed."""

    def __init__(self, table: NDArray[np.void]) -> None:
        """`table` is of dtype `CALL`."""
        self.table = table

    @classmethod
    def of(cls, rows: Iterable[CallRow]) -> "Calls":
        """These rows as columns."""
        return cls(np.array([_stored(row) for row in rows], dtype=CALL))

    def __len__(self) -> int:
        return len(self.table)

    @overload
    def __getitem__(self, place: int) -> CallRow: ...
    @overload
    def __getitem__(self, place: slice) -> "Calls": ...
    def __getitem__(self, place: int | slice) -> "CallRow | Calls":
        return Calls(self.table[place]) if isinstance(place, slice) else _row(self.table[place].item())

    def __iter__(self) -> Iterator[CallRow]:
        # A list of the whole would stand in memory until the last line of a file is written.
        return (_row(one.item()) for one in self.table)

    def column(self, name: str) -> NDArray[Any]:
        """One column, as `CALL` names it."""
        return self.table[name]

    def where(self, mask: NDArray[np.bool_]) -> "Calls":
        """Those for which it is so, in the order they are in."""
        return Calls(self.table[mask])


def to_us(at: datetime) -> int:
    """A moment as microseconds since 1970."""
    return (at - _EPOCH) // _MICROSECOND


def from_us(at_us: int) -> datetime:
    """The moment that many microseconds after 1970 began."""
    return _EPOCH + at_us * _MICROSECOND


def _stored(row: CallRow) -> tuple[object, ...]:
    return (
        row.call,
        to_us(row.rang_at),
        row.wait_s,
        float("nan") if row.handled_s is None else row.handled_s,
        row.agent or 0,
        FLOORS.index(Floor(row.floor)),
        row.level,
        -1 if row.solved is None else row.solved,
        row.in_hours,
        row.by_hand,
        row.answered,
        row.over,
        row.overflowed,
        row.repeat,
    )


def _row(one: tuple[Any, ...]) -> CallRow:
    call, rang_us, wait_s, handled_s, agent, floor, level, solved, in_hours, by_hand, answered, over, overflowed, repeat = one
    return CallRow(
        call=call,
        rang_at=from_us(rang_us),
        in_hours=in_hours,
        by_hand=by_hand,
        answered=answered,
        over=over,
        wait_s=wait_s,
        handled_s=None if np.isnan(handled_s) else handled_s,
        floor=FLOORS[floor],
        level=level,
        agent=agent or None,
        overflowed=overflowed,
        solved=None if solved < 0 else bool(solved),
        repeat=repeat,
    )
