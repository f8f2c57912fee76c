"""What is judged of the fleet at one moment, and the draft on which the steps of judging write it."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diagnostics.limits import Policy
from diagnostics.reasons import REASON_INDEX, REASONS, STATE_INDEX, Reason, State
from diagnostics.snapshot import F32, I8, I64, Bool, Index, Snapshot

U32 = NDArray[np.uint32]

# Bit i of a mask is REASONS[i].
REASON_BITS: Final = (1 << np.arange(len(REASONS))).astype(np.uint32)


@dataclass(frozen=True)
class Judgement:
    """What was judged at one moment, row i being terminal i; also what the next judgement needs to remember.

    `state` (n,) indexes STATES; `reasons` (n,) is a mask over REASONS. `state_since_ms` (n,), `reason_since_ms` and
    `value` (n, len(REASONS)) hold 0 and NaN where there is none. `beyond_ms` (n, limits) is when each limit was first
    passed, 0 where it is not. `late` says that our pipeline is behind; silence counts from `trusted_ms` on.
    """

    state: I8
    reasons: U32
    state_since_ms: I64
    reason_since_ms: I64
    value: F32
    beyond_ms: I64
    late: bool
    trusted_ms: int

    def has(self, reason: Reason) -> Bool:
        """Which terminals have this reason."""
        return np.asarray((self.reasons & REASON_BITS[REASON_INDEX[reason]]) != 0)

    def is_state(self, state: State) -> Bool:
        """Which terminals are in this state."""
        return np.asarray(self.state == STATE_INDEX[state])

    def table(self) -> Bool:
        """The masks as a table: bool (n, len(REASONS))."""
        bits = np.unpackbits(self.reasons.astype("<u4").view(np.uint8).reshape(-1, 4), axis=1, bitorder="little")
        return np.asarray(bits[:, : len(REASONS)].view(bool))


def packed(on: Bool) -> U32:
    """The masks of a table: uint32 (n,)."""
    masks = np.zeros(len(on), np.uint32)
    for column, bit in enumerate(REASON_BITS):
        masks |= on[:, column] * bit
    return masks


def unjudged(n: int, *, policy: Policy, now_ms: int) -> Judgement:
    """The judgement before the first: nothing known of anyone, and nobody silent before now."""
    return Judgement(
        state=np.full(n, STATE_INDEX[State.UNKNOWN], np.int8),
        reasons=np.zeros(n, np.uint32),
        state_since_ms=np.full(n, now_ms, np.int64),
        reason_since_ms=np.zeros((n, len(REASONS)), np.int64),
        value=np.full((n, len(REASONS)), np.nan, np.float32),
        beyond_ms=np.zeros((n, len(policy.limits)), np.int64),
        late=False,
        trusted_ms=now_ms,
    )


def rearranged(judgement: Judgement, old_rows: NDArray[np.intp], *, policy: Policy, now_ms: int) -> Judgement:
    """The judgement on a changed registry: row i was row `old_rows[i]`, or (-1) is a new terminal."""
    new = unjudged(len(old_rows), policy=policy, now_ms=now_ms)
    kept = np.flatnonzero(old_rows >= 0)
    for name in ("state", "reasons", "state_since_ms", "reason_since_ms", "value", "beyond_ms"):
        getattr(new, name)[kept] = getattr(judgement, name)[old_rows[kept]]
    return Judgement(**{**vars(new), "late": judgement.late, "trusted_ms": judgement.trusted_ms})


class Case(NamedTuple):
    """What every step of judging looks at; none of it is changed."""

    fleet: Snapshot
    now_ms: int
    policy: Policy
    previous: Judgement
    was: Bool  # (n, len(REASONS)): the reasons of the previous judgement
    # Silence counts from here on: before, our own pipeline could not have heard.
    trusted_ms: int


class Draft:
    """The judgement in the making: which reasons hold, since when, with what value; (n, len(REASONS)) each.

    Reasons are written one by one, so each has its column in one piece. `dated` and `valued` (len(REASONS),) say which columns of
    `since_ms` and `value` were written: another reason holds since now, and has no value.
    """

    def __init__(self, n: int, now_ms: int) -> None:
        self.on: Bool = np.zeros((n, len(REASONS)), bool, order="F")
        self.since_ms: I64 = np.zeros((n, len(REASONS)), np.int64, order="F")
        self.value: F32 = np.zeros((n, len(REASONS)), np.float32, order="F")
        self.dated: Bool = np.zeros(len(REASONS), bool)
        self.valued: Bool = np.zeros(len(REASONS), bool)
        self._now_ms = now_ms

    def put(self, reason: Reason, where: Bool, *, since_ms: I64 | None = None, value: F32 | None = None) -> None:
        """Write one reason: for which terminals it holds, since when it would, with which value (as they were, where not given)."""
        column = REASON_INDEX[reason]
        self.on[:, column] = where
        if since_ms is not None:
            self.since_ms[:, column] = since_ms
            self.dated[column] = True
        if value is not None:
            self.value[:, column] = value
            self.valued[column] = True

    def has(self, reason: Reason) -> Bool:
        """Which terminals have this reason by now."""
        return np.asarray(self.on[:, REASON_INDEX[reason]])

    def holding(self) -> tuple[Index, Index, I64, F32]:
        """Everything that holds: rows, columns, since when, with which value (NaN: none)."""
        columns, rows = np.divmod(np.flatnonzero(self.on.T), len(self.on))
        since_ms = np.where(self.dated[columns], self.since_ms[rows, columns], self._now_ms)
        value = np.where(self.valued[columns], self.value[rows, columns], np.float32(np.nan))
        return rows, columns, since_ms, value
