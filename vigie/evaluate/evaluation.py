"""Evaluates scenario files: each is played and matched, several at once in processes of their own."""

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diagnostics.detector.calibration import Calibration, CalibrationError, read_calibration
from simulators.scenario import load
from vigie.evaluate.matching import Outcome, match
from vigie.evaluate.player import Player
from vigie.evaluate.record import Record
from vigie.evaluate.trace import told_in_words

# Of a scenario's progress bar, the part that is warming up.
_WARM_SHARE = 0.3
_POLL_S = 0.2

# Which file, how far (0 to 1).
Progress = Callable[[int, float], None]


@dataclass(frozen=True)
class Options:
    """How scenarios are played."""

    calibration: Calibration | None = None
    keep: Path | None = None
    trace: bool = False


@dataclass(frozen=True)
class Result:
    """One scenario, played and matched; `took_s` (ticks,) is what deciding took."""

    file: str
    name: str
    outcome: Outcome
    played_s: float
    took_s: NDArray[np.float64]
    play_wall_s: float
    warm_wall_s: float
    trace: Sequence[str] = ()


def calibration_of(path: Path) -> Calibration:
    """Read the thresholds that `vigie calibrate` wrote.

    Raises:
        CalibrationError: the file cannot be read, or says something else.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CalibrationError(f"{path}: cannot be read ({error})") from None
    return read_calibration(text, source=str(path))


def evaluate(file: Path, options: Options, *, progress: Callable[[float], None] = lambda _: None) -> Result:
    """Play one scenario and match it."""
    scenario = load(file)
    player = Player(scenario, calibration=options.calibration)
    player.warm_up(keep=options.keep, progress=lambda part: progress(_WARM_SHARE * part))
    player.settle()
    record = Record(player, explain=options.trace)
    begun = time.perf_counter()
    length_s = scenario.end_s - scenario.start_s
    for count, tick in enumerate(player.play()):
        record.note(tick)
        if count % 60 == 0:
            progress(_WARM_SHARE + (1 - _WARM_SHARE) * (tick.second - scenario.start_s) / length_s)
    wall_s = time.perf_counter() - begun
    truth = player.population.truth()
    outcome = match(record, truth, player.fleet)
    progress(1.0)
    return Result(
        file=str(file),
        name=scenario.name,
        outcome=outcome,
        played_s=length_s,
        took_s=np.array(record.took_s),
        play_wall_s=wall_s,
        warm_wall_s=player.warm_s,
        trace=told_in_words(player, record, outcome) if options.trace else (),
    )


def evaluate_all(files: Sequence[Path], options: Options, *, jobs: int, progress: Progress) -> list[Result]:
    """Evaluate all files, `jobs` at a time, and return their results in the order of the files.

    Raises:
        ScenarioError: of the first file that cannot be played; none is played then.
    """
    for file in files:
        load(file)
    if jobs <= 1 or len(files) == 1:
        return [evaluate(file, options, progress=partial(progress, number)) for number, file in enumerate(files)]
    return _side_by_side(files, options, jobs=jobs, progress=progress)


def _side_by_side(files: Sequence[Path], options: Options, *, jobs: int, progress: Progress) -> list[Result]:
    # Not forked: the progress bar has a thread.
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        told = manager.Queue()
        with ProcessPoolExecutor(min(jobs, len(files)), mp_context=context) as pool:
            running = [pool.submit(_evaluate_aside, n, file, options, told) for n, file in enumerate(files)]
            with _cancelling(running):
                while not all(one.done() for one in running):
                    for n, part in _waiting(told):
                        progress(n, part)
                    if any(one.done() and one.exception() for one in running):
                        break
                return [one.result() for one in running]


@contextmanager
def _cancelling(running: Sequence[Any]) -> Iterator[None]:
    """What has not begun when one fails, or the user stops, is not begun."""
    try:
        yield
    finally:
        for one in running:
            one.cancel()


def _waiting(told: Any) -> Iterator[tuple[int, float]]:
    """What has been told, after waiting a moment for it."""
    try:
        yield told.get(timeout=_POLL_S)
        while True:
            yield told.get_nowait()
    except Empty:
        return


def _evaluate_aside(n: int, file: Path, options: Options, told: Any) -> Result:
    return evaluate(file, options, progress=lambda part: told.put((n, part)))
