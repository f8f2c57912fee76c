"""Every threshold of detection in one frozen record, read from JSON: delivered as found by a replay of quiet history.

`default_calibration.json` beside this module is written by `vigie calibrate`, as any site's own is: `calibrating.Calibrator`
finds the figures.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, get_type_hints

from diagnostics.detector.metrics import COUNTS, GAUGES
from diagnostics.troubles import TROUBLES, Trouble
from fleet.errors import VigieError

DEFAULT_PATH: Final = Path(__file__).parent / "default_calibration.json"
_GAUGE_FIELDS: Final = frozenset(gauge.field for gauge in GAUGES)
# Of two reference values of the CUSUM the low one finds small lasting shifts, the high one large sudden ones.
CUSUM_K: Final = (1.5, 3.5)

# Counts are rarer than signs that last, and weigh as much.
COUNTED_TROUBLES: Final = tuple(count.trouble for count in COUNTS)
_COUNTED_SCORES: Final = {trouble.value: 16.0 for trouble in COUNTED_TROUBLES}


class CalibrationError(VigieError):
    """A calibration cannot be used; the message names the field."""


def _by_trouble(default: float, **others: float) -> Mapping[Trouble, float]:
    return {trouble: others.get(trouble.value, default) for trouble in TROUBLES}


@dataclass(frozen=True)
class Calibration:
    """All thresholds. A mapping by trouble or by gauge has an entry for each."""

    # A weak sign: so many of the terminal's own standard deviations, and the practical floor.
    sign_z: Mapping[Trouble, float] = field(default_factory=lambda: _by_trouble(3.0, memory=2.5, tx_slow=2.2))
    floor_sign: Mapping[str, float] = field(default_factory=lambda: {gauge.field: gauge.floor_sign for gauge in GAUGES})
    floor_symptom: Mapping[str, float] = field(default_factory=lambda: {gauge.field: gauge.floor_symptom for gauge in GAUGES})
    # The share of well terminals that show a weak sign at any moment, where nothing else is learnt yet.
    sign_rate: Mapping[Trouble, float] = field(default_factory=lambda: _by_trouble(1e-3, offline=1e-4, paper=5e-4))
    # ... which is never believed to be less than this.
    sign_rate_least: float = 1e-4
    # The tail of a well terminal's CUSUM falls as exp(-rate * height), for each gauge and each of CUSUM_K.
    cusum_rate: Mapping[str, tuple[float, ...]] = field(
        default_factory=lambda: {gauge.field: tuple(0.4 for _ in CUSUM_K) for gauge in GAUGES}
    )
    # A symptom needs combined evidence at least so strong.
    symptom_p: Mapping[Trouble, float] = field(default_factory=lambda: _by_trouble(1e-6))
    # ... and a counted one so many at the least in an hour (crashes: in half an hour).
    symptom_count: Mapping[Trouble, float] = field(default_factory=lambda: _by_trouble(4.0, crashes=3.0))
    # A symptom ends when it was not seen for so long.
    symptom_over_s: float = 240.0
    # A report is missing this long after the last, at the pace of an open shop; more for who reports unevenly, up to the second.
    missing_after_s: float = 47.0
    missing_most_s: float = 100.0
    # What the fleet scan wants of a cell's score (nats) before it is a finding: it keeps an incident alive and begins a candidate.
    scan_threshold: Mapping[Trouble, float] = field(default_factory=lambda: _by_trouble(14.0))
    # ... and what opens an incident. Never less than this default, however quiet the replay: fifteen terminals of fifty that show a
    # sign of which well ones show three in a thousand make 65.
    open_score: Mapping[Trouble, float] = field(default_factory=lambda: _by_trouble(25.0, **_COUNTED_SCORES, calls=14.0))
    # False findings vary more than independent terminals would: the score is divided by this.
    overdispersion: Mapping[Trouble, float] = field(default_factory=lambda: _by_trouble(1.0))
    # What the thresholds were wanted to give, a day over the whole fleet.
    false_incidents_per_day: float = 0.05
    false_symptoms_per_day: float = 3.0

    def to_json(self) -> str:
        """Write every field, one a line where it has parts."""
        return json.dumps(asdict(self), indent=1, sort_keys=False) + "\n"


def default_calibration() -> Calibration:
    """The calibration that comes with Vigie."""
    if not DEFAULT_PATH.exists():
        return Calibration()
    return read_calibration(DEFAULT_PATH.read_text(encoding="utf-8"), source=str(DEFAULT_PATH))


def read_calibration(text: str, *, source: str) -> Calibration:
    """Check a calibration's JSON; `source` is the name that errors show. A field that is absent keeps its default."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise CalibrationError(f"{source}: not JSON: {error}") from None
    if not isinstance(document, dict):
        raise CalibrationError(f"{source}: a calibration is an object of fields")
    known = {one.name for one in fields(Calibration)}
    for name in document:
        if name not in known:
            raise CalibrationError(f"{source}: {name}: no such field; there are {', '.join(sorted(known))}")
    base = Calibration()
    hints = get_type_hints(Calibration)
    return Calibration(
        **{name: _read(hints[name], value, getattr(base, name), f"{source}: {name}") for name, value in document.items()}
    )


def _read(kind: Any, value: Any, default: Any, where: str) -> Any:
    """One field as its type wants it; a mapping may give some entries only."""
    if not isinstance(default, Mapping):
        return _number(value, where)
    if not isinstance(value, dict):
        raise CalibrationError(f"{where}: an object is wanted, by {'trouble' if _keyed_by_trouble(kind) else 'gauge'}")
    merged = dict(default)
    for key, one in value.items():
        try:
            name: str = Trouble(key) if _keyed_by_trouble(kind) else _gauge(key)
        except ValueError:
            raise CalibrationError(f"{where}: {key}: no such entry; there are {', '.join(map(str, default))}") from None
        merged[name] = _numbers(one, f"{where}: {key}") if isinstance(merged[name], tuple) else _number(one, f"{where}: {key}")
    return merged


def _keyed_by_trouble(kind: Any) -> bool:
    key = kind.__args__[0]
    return isinstance(key, type) and issubclass(key, StrEnum)


def _gauge(name: str) -> str:
    if name not in _GAUGE_FIELDS:
        raise ValueError(name)
    return name


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise CalibrationError(f"{where}: a number above 0 is wanted, not {value!r}")
    return float(value)


def _numbers(value: Any, where: str) -> tuple[float, ...]:
    if not isinstance(value, list) or len(value) != len(CUSUM_K):
        raise CalibrationError(f"{where}: a list of {len(CUSUM_K)} numbers is wanted, not {value!r}")
    return tuple(_number(one, where) for one in value)
