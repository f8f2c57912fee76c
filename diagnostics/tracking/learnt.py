"""What the diagnosis learnt and is worth keeping over a restart: baselines, calling habits, changes of firmware; as bytes."""

import json
import struct
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from diagnostics.detector import baseline
from diagnostics.detector.baseline import Baseline
from diagnostics.detector.observed import Fleet
from diagnostics.snapshot import I64
from diagnostics.tracking.calls import CallHabits
from fleet.errors import VigieError

_LENGTH: Final = struct.Struct("<I")


class LearntError(VigieError):
    """What was stored has another form than this program's; it is learnt anew."""


@dataclass(frozen=True)
class Learnt:
    """The learnt state as it is stored; it is unpacked for a registry, which may have changed since."""

    # Names the form of `to_bytes`: another one is not read.
    LAYOUT: ClassVar[str] = f"vigie-learnt-2 {baseline.LAYOUT}"

    notes: bytes
    baseline: bytes

    def to_bytes(self) -> bytes:
        """Both parts in one."""
        return _LENGTH.pack(len(self.notes)) + self.notes + self.baseline

    @classmethod
    def from_bytes(cls, state: bytes, *, layout: str = LAYOUT) -> "Learnt":
        """Read what `to_bytes` wrote under `layout`; raises LearntError for another form."""
        if layout != cls.LAYOUT:
            raise LearntError(f"what was learnt is stored as {layout!r}; this program reads {cls.LAYOUT!r}, and learns anew")
        if len(state) < _LENGTH.size or len(state) < _LENGTH.size + _LENGTH.unpack_from(state)[0]:
            raise LearntError("what was learnt is cut short, and is learnt anew")
        end = _LENGTH.size + _LENGTH.unpack_from(state)[0]
        return cls(state[_LENGTH.size : end], state[end:])

    @classmethod
    def of(cls, learnt: Baseline, habits: CallHabits, fleet: Fleet, *, firmware_changed_ms: I64) -> "Learnt":
        """Pack what is known of a fleet; `firmware_changed_ms` (n,) is 0 where no change was seen."""
        names = fleet.terminals.astype("U6")
        changed = np.flatnonzero(firmware_changed_ms)
        firmware = dict(zip(names[changed].tolist(), firmware_changed_ms[changed].tolist(), strict=True))
        rang = {fleet.terminals[row].decode(): round(float(habits.rang[row]), 3) for row in np.flatnonzero(habits.rang > 1e-3)}
        calls = {"calls": habits.calls.tolist(), "hours": habits.hours.tolist(), "rang": rang, "due": habits.rang_due}
        return cls(json.dumps({**calls, "firmware_changed_ms": firmware}).encode(), learnt.to_bytes())

    def baseline_for(self, fleet: Fleet) -> Baseline:
        """The baselines of this fleet's terminals; new ones begin as their peers."""
        return Baseline.from_bytes(self.baseline, layout=baseline.LAYOUT, fleet=fleet)

    def firmware_changed_for(self, fleet: Fleet) -> I64:
        """When each terminal's firmware was last seen to change, 0 where it was not: int64 (n,), Unix milliseconds."""
        try:
            changed = json.loads(self.notes)["firmware_changed_ms"]
            return np.array([changed.get(name, 0) for name in fleet.terminals.astype("U6").tolist()], np.int64)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise LearntError(f"the stored changes of firmware cannot be read: {error}") from error

    def habits_for(self, fleet: Fleet) -> CallHabits:
        """The calling habits of this fleet's shops."""
        try:
            stored = json.loads(self.notes)
            rang = np.array([stored["rang"].get(name, 0.0) for name in fleet.terminals.astype("U6").tolist()], np.float32)
            return CallHabits(np.array(stored["calls"], float), np.array(stored["hours"], float), rang, float(stored["due"]))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise LearntError(f"the stored calling habits cannot be read: {error}") from error
